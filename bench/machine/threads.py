"""How many threads a computation takes: sums in another order differ in their last digits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def threads_of(count: int | None) -> Iterator[None]:
    """Inside, torch and the libraries of linear algebra compute with so many threads; None: with as many as before."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        with threadpool_limits(count):
            yield
    finally:
        torch.set_num_threads(before)
