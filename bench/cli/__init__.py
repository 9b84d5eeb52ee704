"""The command line: one file per group of verbs; no torch at import."""
