"""What a run that reads a data set records of it: the digest of each of its files, as they are on this machine."""

from __future__ import annotations

from bench import paths
from bench.data.meta import read_meta
from bench.errors import UserError


def digests(name: str, resolution: int) -> dict[str, str] | None:
    """File -> content hash of a built set's arrays as they are on this machine; None where it is not built, or damaged.

    The sums of the build are trusted while no array is newer than they are; a newer array is read and hashed.
    """
    folder = paths.cache_root() / "data" / f"{name}-{resolution}"
    try:
        meta = read_meta(folder)
        from bench.data import disk  # here: only a built set has arrays to look at

        return {file: disk.current_hash(folder, file, record) for file, record in meta["files"].items()}
    except UserError:
        return None
