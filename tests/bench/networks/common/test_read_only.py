"""Images and labels of a file are read-only memory maps: no part of bench hands them to torch as if it could write."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench import networks
from bench.contract.discovery import methods
from bench.data import imageset
from bench.evaluate.d_scores import d_scores
from bench.evaluate.nearest_images import augmented
from bench.features.resize import RESIZINGS


@pytest.fixture
def images():
    """Of a file; torch warns each time, not once in a process."""
    torch.set_warn_always(True)
    found = imageset.load("shapes", 32).train[:4]
    assert not found.flags.writeable
    yield found
    torch.set_warn_always(False)


def scored(images_NHWC):
    return d_scores(networks.build("sngan-32", seed=0, g_width=8, d_width=8)[1], images_NHWC, 2)


def conditioned(images_NHWC):
    method, labels_N = methods().load("class-conditional")(), np.arange(4)
    labels_N.flags.writeable = False
    ctx = SimpleNamespace(labels_N=labels_N, device=torch.device("cpu"))
    return method.condition(ctx, SimpleNamespace(index_N=torch.arange(4)))


def cropped(images_NHWC):
    return augmented(images_NHWC, 1.0, torch.Generator().manual_seed(0))


def resized(images_NHWC):
    return RESIZINGS["aligned-bilinear"].pixels(images_NHWC, 48)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("use", [scored, conditioned, cropped, resized])
def test_what_is_read_only_is_copied(use, images):
    assert len(use(images)) == 4


@pytest.mark.filterwarnings("error")
def test_torch_would_say_so(images):
    with pytest.raises(UserWarning, match="not writable"):
        torch.from_numpy(images)
