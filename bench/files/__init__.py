"""Files on disk: written atomically, and checked before anything in them is trusted."""
