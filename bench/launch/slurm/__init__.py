"""Runs on a SLURM cluster: submitted as job arrays, watched, cancelled."""
