"""Data sets: the catalogue, builders, image sets on disk, draws of images, reference points."""
