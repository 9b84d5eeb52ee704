"""Runs on this machine: a queue over worker processes."""
