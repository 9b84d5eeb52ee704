"""This machine: its memory, its versions and hardware, what a job on it may use."""
