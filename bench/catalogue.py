"""The old home of `DatasetEntry`, kept for a release: plug-ins were told to import it from here."""

from bench.data.catalogue import DatasetEntry

__all__ = ["DatasetEntry"]
