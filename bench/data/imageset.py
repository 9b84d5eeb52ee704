"""Data sets by name, as memory maps; one that needs no files of the user's is built at first use."""

from __future__ import annotations

from bench.data.building import build
from bench.data.built_set import ImageSet, open_set
from bench.data.counting import not_built
from bench.data.meta import read_meta
from bench.data.places import find, recipe
from bench.errors import UserError


def load(name: str, resolution: int) -> ImageSet:
    """The data set, opened; an embedded one that is absent or of an older recipe is built first.

    Raises UserError for an unknown name, a set that needs the user's files, and a damaged folder. Sums are
    not recomputed here: that is what `verify` does.
    """
    entry, folder = find(name, resolution)
    stale = folder.is_dir() and read_meta(folder)["recipe"] != recipe(entry)
    if folder.is_dir() and not stale:
        return open_set(name, resolution, entry, folder)
    if not entry.embedded:
        raise UserError(not_built(name, resolution))
    return build(name, resolution, force=stale)
