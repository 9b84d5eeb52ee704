"""One run: built, trained, scored, recorded, and opened again."""
