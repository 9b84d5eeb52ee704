"""Rehearsals: one real training step at paper size, with its time and memory."""
