"""Measures of finished runs: what they see of a run (subject.py), and a card for each (cards/)."""
