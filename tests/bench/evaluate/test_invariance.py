"""No measure depends on the number of threads, nor on how many images an extractor looks at at once."""

from __future__ import annotations

import numpy as np
import pytest

from bench.evaluate.card import Value
from bench.evaluate.material import Material
from bench.evaluate.registry import parse_measure, run_measure, run_measures, settings_of
from bench.evaluate.subject import Subject
from bench.features import cache
from bench.features.extractor import Extractor
from bench.machine.threads import threads_of
from bench.run.build import source_files
from bench.run.reopen import reopen
from bench.spec.measurement import measurement_run
from bench.spec.run import DataSpec, NetworkSpec, evaluation_run
from bench.store.runs import Store
from evaluated import finished

SHAPES = DataSpec(name="shapes", resolution=32, shots=60, draw="fixed")
HELD = DataSpec(name="shapes", resolution=32, holdout=0.02)
FACES = DataSpec(name="faces-attributes@200", resolution=32, shots=64)
NAMES = ["grey or white hair", "glasses", "long hair", "happy mouth"]
FASTGAN = DataSpec(name="shapes", resolution=64, shots=16)  # of whose runs the network is a FastGAN
NETWORK = NetworkSpec(name="fastgan-64", options={"ngf": 4, "ndf": 4, "z_dim": 16, "decoder_width": 4})
ON = {"extractor": "effnet_lite0@32"}
# measure -> the method and the data of its run, and settings that take a fraction of a second
TAKEN = {
    "attributes": ("unconditional", FACES, {"attributes": NAMES, "images": 90, "each_side": 20}),
    "auxiliary": ("lt(layer=1, pool=3, warmup_share=0)", SHAPES, {"pairs": 40}),
    "back-tracking": ("unconditional", HELD, {"images": 2, "updates": 3, "net": "alex", "pool": 1}),
    "classification-accuracy": ("class-conditional", SHAPES, {}),
    "cosine": ("class-conditional", SHAPES, {"pairs": 30}),
    "data-copying": ("class-conditional", SHAPES, {"images": 21, "trials": 1, "pca": 4, "cells": 2, "real": 20, **ON}),
    "decoder": ("unconditional", SHAPES, {"steps": 2, "images": 4, "width": 4, "batch": 2, "net": "alex"}),
    "diversity": ("class-conditional", SHAPES, {"images": 4}),
    "edit-directions": (
        "class-conditional",
        SHAPES,
        {"edit": "brightness", "factors": 2, "trajectories": 2, "updates": 2, "tried": 2},
    ),
    "inception-score": ("class-conditional", SHAPES, {"images": 40, "splits": 2}),
    "inversion": ("unconditional", HELD, {"images": 3, "steps": 5, "start": "mean", **ON}),
    "linear-probe": ("", SHAPES, {"images": 30, **ON}),
    "mixing-change": ("sle", FASTGAN, {"layer": 64, "contents": 2, "styles": 2}),
    "nearest": ("class-conditional", SHAPES, {"samples": 10, "trials": 2}),
    "path-length": ("unconditional", HELD, {"pairs": 12, "space": "z", "net": "alex", "epsilon": 0.1}),
    "rescore": ("class-conditional", SHAPES, {}),
}
SOURCES = {
    "detector": ("classifier(target=attributes, width=4)", FACES),
    "classifier": ("classifier(width=4)", SHAPES),
}
# Features of 32 bits, in other sums, differ by some 1e-6 of their size
NEAR = 1e-5


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("invariance"))


@pytest.fixture(scope="module")
def taken(store, tiny_spec):
    """Take a measure: `taken(name, threads)`, output -> value."""

    def take(name, threads):
        method, data, settings = TAKEN[name]
        card, spec = run_measure(name), parse_measure({"measure": name, **settings})
        roles = [] if name == "linear-probe" else card.sources
        sources = {role: tiny_spec(SOURCES[role][0], data=SOURCES[role][1], batch=16) for role in roles}
        if method:
            run = tiny_spec(method, scored=True, data=data)
            if data == FASTGAN:
                run = run.model_copy(update={"network": NETWORK})
            task = evaluation_run(spec, run, run.protocol, sources)
        else:
            task = measurement_run(spec, data, 0, sources=sources)
        for source in task.run_sources.values():
            finished(store, source)
        opened = lambda inference: reopen(store.folder(run.uid), store, "final")  # noqa: E731
        with threads_of(threads):
            files = source_files(task, store)
            subject = Subject(task, opened, sources=files) if method else Material(task, None, sources=files)
            values = card.compute(subject, settings_of(spec)).values
        return {each.output if isinstance(each, Value) else each.metric: each.value for each in values}

    return take


def test_every_measure_that_gives_values_but_those_of_time_is_here():
    cards = [run_measure(entry.name) for entry in run_measures() if entry.target.startswith("bench.")]
    assert set(TAKEN) == {card.name for card in cards if not card.exclusive and (card.outputs or not card.pictures)}


@pytest.mark.slow
@pytest.mark.parametrize("name", TAKEN)
def test_what_must_not_matter_does_not(name, taken, monkeypatch, tmp_path):
    plain, original = taken(name, 1), Extractor.__call__
    assert plain and all(np.isfinite(value) for value in plain.values())
    monkeypatch.setattr(Extractor, "__call__", lambda self, images, batch=7: original(self, images, 7))
    monkeypatch.setattr(cache, "features_folder", lambda: tmp_path)  # none that are kept
    assert taken(name, 2) == pytest.approx(plain, rel=NEAR)
