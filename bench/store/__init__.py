"""Finished and unfinished runs on disk: folders, heartbeats, checkpoints."""
