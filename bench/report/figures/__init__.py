"""One file per kind of drawing."""
