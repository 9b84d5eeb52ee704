"""Reference points: of as many images as there are, counted, and never a failed run."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.data import imageset
from bench.data.reference import reference_point
from bench.plan.expand import Table
from bench.report.build import build_report
from bench.report.render.cell_text import cell_text
from bench.report.results import load_results
from bench.run.execute import execute
from bench.run.settings import Settings
from bench.spec.run import DataSpec, MetricSpec, Part, Protocol, RunSpec
from bench.store.runs import Store

POOL = 256  # of the data set shapes
METRICS = (
    MetricSpec(name="fd", extractor="alexnet@63"),
    MetricSpec(name="precision", extractor="alexnet@63", k=5),
    MetricSpec(name="recall", extractor="alexnet@63", k=POOL),
)


def point(name, generated):
    protocol = Protocol(name="p", version=1, generated=generated, reference=40, metrics=METRICS, every=1)
    data = DataSpec(name="shapes", resolution=16, shots=20)
    method = (Part(name=name),)
    return RunSpec(kind="reference", method=method, network=None, data=data, train=None, protocol=protocol, seed=0)


@pytest.fixture
def table():
    """A table that asks for more images than the pool has."""
    protocol = {"name": "p", "version": 1, "every": 1, "metrics": [one.model_dump() for one in METRICS]}
    scale = {
        "network": {"name": "sngan-32"},
        "train": {"steps": 1, "batch": 4, "g_lr": 1e-3, "d_lr": 1e-3},
        "protocol": protocol,
        "columns": {
            "only": {
                "data": {"name": "shapes", "resolution": 16, "shots": 20},
                "generated": 300,
                "reference": 40,
            }
        },
    }
    return Table.model_validate(
        {
            "name": "mine/floor",
            "title": "A small pool",
            "seeds": 1,
            "snapshot": "best",
            "metrics": ["fd", "precision", "recall"],
            "rows": [{"id": "scratch", "label": "From scratch", "method": "baseline"}],
            "columns": [{"id": "only", "label": "Shapes"}],
            "references": ["floor", "memorised"],
            "scales": {"mini": scale},
        }
    )


@pytest.mark.parametrize(("asked", "found"), [(100, 100), (256, 256), (300, 256)])
def test_a_floor_is_of_different_images_of_the_pool(asked, found):
    images = reference_point(point("floor", asked))
    pool = {image.tobytes() for image in imageset.load("shapes", 16).train}
    drawn = [image.tobytes() for image in images]
    assert len(images) == found and set(drawn) <= pool
    assert len(set(drawn)) == len(np.unique(images, axis=0))
    for other in ("memorised", "pixel-mix"):
        assert len(reference_point(point(other, asked))) == asked


def test_a_floor_of_fewer_images_is_scored_counted_and_explained(table, store_root):
    store = Store(store_root)
    torch.set_num_threads(1)
    for name in table.references:
        spec = table.reference_spec(name, table.columns[0], 0, "mini")
        store.open(spec)
        settings = Settings(torch.device("cpu"))
        assert execute(spec.uid, store, settings, lambda: False, lambda *_: None) == "done"
    results = load_results(table, "mini", store)
    counts = results[results["kind"] == "reference"].groupby("row")["n_generated"].unique()
    assert counts["floor"].tolist() == [POOL] and counts["memorised"].tolist() == [300]
    report = build_report(table, "mini", results)
    caption = " ".join(report.caption)
    assert "Shapes: floor is of 256 images, all there are, not 300" in caption
    assert "it lies too high; too few for recall." in caption and "memorised is of" not in caption
    cells = {block.metric: block.cells for block in report.blocks if block.paper_rule}
    assert cells["fd"]["floor", "only"].interval is not None
    assert cell_text(cells["recall"]["floor", "only"]) == "–"  # not "missing": there is nothing to run
    assert cells["recall"]["memorised", "only"].interval is not None
    assert cell_text(cells["recall"]["scratch", "only"]) == "missing"
