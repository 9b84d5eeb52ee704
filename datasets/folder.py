"""The builder of folders as the first sets of one's own were built: `bench.datasets.pictures` with its first rules.

Only folders called exactly train and test are splits, no folder is a class, and pictures of the same pixels in
different files all count.
"""

from __future__ import annotations

from bench.data.builder import Order, Splits

from .pictures import assemble

FIRST = {"split_names": "exact", "labels": "none", "duplicates": "bytes"}


def build(order: Order) -> Splits:
    """`bench.datasets.pictures.build` as it was; sets that were built by this name, and the catalogue's, keep it."""
    return assemble(order, {**FIRST, **order.entry.options})
