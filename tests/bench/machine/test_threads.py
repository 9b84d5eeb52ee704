"""A computation takes as many threads as it is told, and what comes after it as many as before."""

from __future__ import annotations

import pytest
import torch
from threadpoolctl import threadpool_info

from bench.machine.threads import threads_of


def pools():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.mark.parametrize("count", [1, 2, None])
def test_threads_are_those_that_are_asked_for(count):
    before = torch.get_num_threads(), pools()
    with threads_of(count):
        assert torch.get_num_threads() == (count or before[0])
        assert pools() == (before[1] if count is None else {count})
    assert (torch.get_num_threads(), pools()) == before


def test_they_come_back_after_an_error():
    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="why"), threads_of(before + 1):
        raise ValueError("why")
    assert torch.get_num_threads() == before
