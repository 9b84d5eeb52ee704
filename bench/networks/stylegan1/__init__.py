"""StyleGAN (v1)."""
