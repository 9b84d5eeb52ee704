"""A run's curves, pictures and settings for trackers of experiments: TensorBoard's event files, JSON lines."""
