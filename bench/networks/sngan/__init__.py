"""SNGAN and SNDCGAN."""
