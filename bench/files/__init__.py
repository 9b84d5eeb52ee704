"""Files on disk: written atomically, and read with nothing trusted that was not checked."""
