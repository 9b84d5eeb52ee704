"""Layers and checks that several families share."""
