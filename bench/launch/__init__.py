"""Launching: the local queue and its workers."""
