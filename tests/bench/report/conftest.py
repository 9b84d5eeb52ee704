"""Synthetic results with a known truth, shaped as `load_results` gives them."""

import math

import numpy as np
import pandas as pd
import pytest

from bench import seeds
from bench.metrics.measures import version_of
from bench.plan.expand import Table
from bench.report.frame import COLUMNS

EXTRACTOR = "effnet_lite0@96"


def make_table(extractor=EXTRACTOR, **changes):
    """A small table: a baseline, a better row, a printed-only row, a control, two columns, two scales."""

    def scale(steps):
        data = {"resolution": 32, "shots": 100}
        return {
            "network": {"name": "sngan-32"},
            "train": {"steps": steps, "batch": 25, "g_lr": 2e-4, "d_lr": 2e-4},
            "protocol": {
                "name": "few-shot",
                "version": 1,
                "every": 10,
                "metrics": [
                    {"name": "fd", "extractor": extractor},
                    {"name": "precision", "extractor": extractor, "k": 10},
                    {"name": "recall", "extractor": extractor, "k": 40},
                ],
            },
            "columns": {
                "anime": {
                    "data": {"name": "openmoji", **data},
                    "generated": 2000,
                    "reference": 1000,
                    "stand_in": "emoji for anime faces",
                },
                "faces": {
                    "data": {"name": "dicebear", **data},
                    "generated": 1500,
                    "reference": 900,
                    "stand_in": "drawn for real faces",
                },
            },
        }

    value = {
        "name": "disp/table1",
        "title": "Few-shot image generation",
        "paper": "DISP",
        "seeds": 3,
        "snapshot": "best",
        "metrics": ["fd", "precision", "recall"],
        "rows": [
            {"id": "scratch", "label": "From scratch", "method": "baseline"},
            {"id": "scratch+disp", "label": "+ DISP-Vgg16", "method": "disp"},
            {"id": "ada", "label": "ADA", "method": "ada-lite"},
            {"id": "bsa", "label": "BSA*", "printed_only": "its code was never published"},
            {"id": "control", "label": "Baseline & noise", "method": "unconditional", "control": True},
        ],
        "columns": [{"id": "anime", "label": "Anime"}, {"id": "faces", "label": "Faces"}],
        "references": ["floor", "memorised"],
        "scales": {"smoke": scale(20), "mini": scale(20), "paper": scale(30000)},
        "claims": [
            {"id": "helps", "text": "DISP improves", "order": ["scratch+disp", "scratch"]},
            {"id": "hurts", "text": "DISP harms", "order": ["scratch", "scratch+disp"]},
            {"id": "same", "text": "ADA", "order": ["ada", "scratch+disp"], "columns": ["anime"]},
        ],
        "notes": ["A note with 100 % of the odd characters: # $ & _ { } ~ ^ \\ <b> |"],
    }  # fmt: skip
    return Table.model_validate({**value, **changes})


def make_run(row, column, seed, scores, status="done", kind="train", extractor=EXTRACTOR, version=None):
    """The lines of one run; `scores` is {step: {metric: value}}, or empty for a run without any."""
    common = {
        "row": row, "column": column, "seed": seed, "status": status, "kind": kind, "extractor": extractor,
        "n_generated": 2000, "n_reference": 1000, "uid": f"{row}_{column}_s{seed}", "origin": "runs",
        "commit": "abc1234567",
    }  # fmt: skip
    if not scores:
        return [
            {**common, "metric": metric, "value": math.nan, "version": version_of(metric)}
            for metric in ("fd", "precision", "recall")
        ]
    return [
        {**common, "step": step, "metric": metric, "value": value, "version": version or version_of(metric)}
        for step, values in scores.items()
        for metric, value in values.items()
    ]


def make_frame(*runs):
    """Runs as a tidy frame with the dtypes of `load_results`."""
    made = pd.DataFrame([line for lines in runs for line in lines], columns=list(COLUMNS))
    made["train_seconds"] = made["train_seconds"].fillna(0.0)
    return made.astype({"value": float, "error": float, "seed": "Int64", "step": "Int64", "version": "Int64"})


def make_snapshots(final, best=None):
    """Two snapshots of one run: step 10 with `best`, step 20 with `final`; each (fd, precision, recall)."""
    names = ("fd", "precision", "recall")
    scores = {20: dict(zip(names, final))}
    return {10: dict(zip(names, best)), **scores} if best else scores


def make_simulated(table_seeds=range(3), extractor=EXTRACTOR):
    """Scratch near 120, DISP and ADA near 60; the best snapshot lies 10 % below the last.

    Seeds share a log-normal factor, as paired seeds do.
    """
    stream = seeds.numpy_stream(0, "report-fixture")
    runs = []
    for column in ("anime", "faces"):
        for seed in table_seeds:
            shared = math.exp(stream.normal(0, 0.05))
            for row, level in (("scratch", 120.0), ("scratch+disp", 60.0), ("ada", 60.0)):
                fd = level * shared * math.exp(stream.normal(0, 0.02))
                p, r = np.clip(stream.normal((0.7, 0.1), 0.02), 0, 1)
                runs.append(
                    make_run(row, column, seed, make_snapshots((fd / 0.9, p, r), (fd, p, r)), extractor=extractor)
                )
        for point, fd in (("floor", 9.5), ("memorised", 81.2)):
            for seed in table_seeds:
                scores = {0: {"fd": fd + 0.1 * seed, "precision": 0.9, "recall": 0.8}}
                runs.append(make_run(point, column, seed, scores, kind="reference", extractor=extractor))
    return make_frame(*runs)


@pytest.fixture(scope="session")
def table():
    """`make_table`, for tests that change the table; likewise the following."""
    return make_table


@pytest.fixture(scope="session")
def run():
    return make_run


@pytest.fixture(scope="session")
def frame():
    return make_frame


@pytest.fixture(scope="session")
def snapshots():
    return make_snapshots


@pytest.fixture(scope="session")
def simulated():
    return make_simulated


@pytest.fixture
def spec():
    return make_table()


@pytest.fixture
def results():
    return make_simulated()


@pytest.fixture
def protocol(spec):
    return spec.scored(spec.columns[0], "mini").protocol
