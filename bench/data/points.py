"""The reference points by name: images that no generator made, scored so that a score has a scale."""

POINTS = {  # what a caption says of each
    # what a perfect generator scores at these counts
    "floor": "real images of the train pool against the test images",
    # DISP section 5.1, memorization test: repetitions are drawn
    "memorised": "the run's training images, resampled, against the test images",
    # what vicinal mixing of pixels alone scores
    "pixel-mix": "cross-dissolves of two training images",
}
