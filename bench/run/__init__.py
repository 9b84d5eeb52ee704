"""One run brought to its record: built, trained, scored, opened again."""
