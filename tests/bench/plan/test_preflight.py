"""Impossible plans: each mistake is named with its line and its numbers before anything starts, all at once by plan."""

from __future__ import annotations

import importlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench import networks
from bench.data import draws, imageset
from bench.data.builder import Order
from bench.data.known import datasets
from bench.data.smaller_sets import whole_name
from bench.errors import UserError
from bench.networks.describe import weightless
from bench.plan.load import load_table, table_names
from bench.plan.preflight import problems
from bench.plan.runs import make_plan
from bench.plan.waiting import to_come
from bench.spec.run import DataSpec
from bench.store.runs import Store

TABLE = """\
title: mine
seeds: 1
snapshot: final
metrics: [fd, density, recall]
rows:
  - {id: scratch, label: Scratch, method: baseline}
  - {id: disp, label: DISP, method: disp + diffaugment}
columns: [{id: shapes, label: Shapes}]
scales:
  smoke:
    network: {name: sngan-32, options: {g_width: 8, d_width: 8}}
    train: {steps: 6, batch: 4, g_lr: 1.0e-3, d_lr: 1.0e-3}
    protocol:
      name: tiny
      version: 1
      every: 6
      metrics:
        - {name: fd, extractor: effnet_lite0@32}
        - {name: density, extractor: effnet_lite0@32, k: 5}
        - {name: recall, extractor: effnet_lite0@32, k: 5}
    columns:
      shapes:
        data: {name: shapes, resolution: 32, shots: 16}
        generated: 24
        reference: 24
"""
MISTAKES = [
    ("reference: 24", "reference: 300", 25,
     "scales.smoke.columns.shapes.reference: 300 reference images, but data set 'shapes' at 32 px has 256 test images"),
    ("shots: 16", "shots: 900", 23,
     "scales.smoke.columns.shapes.data.shots: 900 shots, but data set 'shapes' at 32 px has 256 training images"),
    ("g_width: 8", "g_widht: 8", 11,
     "scales.smoke.network.options.g_widht: network 'sngan-32' has no setting 'g_widht'; did you mean 'g_width'?"),
    ("g_width: 8", "g_width: -8", 11, "scales.smoke.network.options: network 'sngan-32' cannot be built: "),
    ("resolution: 32", "resolution: 64", 23, "scales.smoke.columns.shapes.data.resolution: network 'sngan-32' makes "
     "32 px images, data set 'shapes' is asked for at 64 px"),
    ("density, extractor: effnet_lite0@32, k: 5", "density, extractor: effnet_lite0@32, k: 24", 19,
     "scales.smoke.protocol.metrics.1.k: density wants neighbour 24 of 24 reference images; k must be below 24"),
    ("recall, extractor: effnet_lite0@32, k: 5", "recall, extractor: effnet_lite0@32", 20,
     "scales.smoke.protocol.metrics.2.k: recall wants neighbour 40 of 24 generated images; k must be below 24"),
    ("fd, extractor: effnet_lite0@32", "fd, extractor: effnet_lite0@32, k: 3", 18,
     "scales.smoke.protocol.metrics.0.k: metric 'fd' has no k; leave it out"),
    ("method: disp +", "method: disp(prior=vgg61) +", 7, "rows.1.method: "),
    ("generated: 24", "generated: 1", 24,
     "scales.smoke.columns.shapes.generated: fd needs at least 2 generated images, and there are 1"),
    ("reference: 24", "reference: 1", 25,
     "scales.smoke.columns.shapes.reference: fd needs at least 2 reference images, and there are 1"),
]  # fmt: skip


@pytest.fixture
def written(tmp_path):
    def write(*changes):
        text = TABLE
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (tmp_path / "mine.yaml").write_text(text)
        return tmp_path / "mine.yaml"

    return write


@pytest.mark.parametrize(("old", "new", "line", "says"), MISTAKES, ids=[mistake[1] for mistake in MISTAKES])
def test_a_mistake_is_found_before_anything_starts(written, bench_command, store_root, old, new, line, says):
    path = written((old, new))
    done = bench_command("plan", str(path))
    assert done.returncode == 2 and done.stderr.startswith(f"bench: error: {path}:{line}: {says}"), done.stderr


def test_plan_lists_all_and_run_refuses_with_all(written, bench_command, store_root):
    path = written(*[(old, new) for old, new, _, _ in MISTAKES[:3]], ("k: 5}\n    columns", "k: 99}\n    columns"))
    planned = bench_command("plan", str(path))
    assert planned.returncode == 2 and len(planned.stderr.splitlines()) == 4
    assert "2 runs (2 planned)" in planned.stdout, "the plan is shown all the same"
    for verb in (["run"], ["submit", "--profile", "test-node"]):
        done = bench_command(verb[0], str(path), *verb[1:])
        assert done.returncode == 2 and sorted(done.stderr.splitlines()) == sorted(planned.stderr.splitlines())
    assert not store_root.exists(), "nothing has started"
    assert bench_command("plan", str(written())).returncode == 0


def test_the_first_score_must_rank(written, bench_command, tmp_path):
    """It picks the best snapshot: refused before anything trains where neither way of it is better."""
    (tmp_path / "count.py").write_text(
        "from bench.metrics import Measure\n"
        "SCORES = [Measure(name='count', summary='c', title='count', short='n', better='none',"
        " compute=lambda sets, k: 1.0)]\n"
    )
    path = written(("{name: fd, extractor", "{name: count, extractor"), ("metrics: [fd,", "metrics: [count,"))
    done = bench_command("plan", str(path), "--plugin", str(tmp_path / "count.py"))
    assert done.returncode == 2 and "of count neither way is better; put another one first" in done.stderr, done.stderr


def test_a_setting_of_the_command_line_is_named_as_such(written, bench_command):
    done = bench_command("plan", str(written()), "--set", "columns.shapes.reference=300")
    assert done.returncode == 2
    assert done.stderr.startswith("bench: error: --set columns.shapes.reference=300: 300 reference images, but")
    done = bench_command("plan", "table1", "--rows", "scratch", "--set", "network.options.g_widht=3")
    assert done.returncode == 2 and "--set network.options.g_widht=3: network" in done.stderr
    done = bench_command("run", "table1", "--rows", "scratch", "--set", "columns.faces.data.shots=99999")
    assert done.returncode == 2 and "--set columns.faces.data.shots=99999: 99999 shots" in done.stderr


PLUGIN = """
from bench.data.catalogue import DatasetEntry

entry = DatasetEntry(
    summary="mine", builder="bench.datasets.folder:build", licence="mine", source="mine", embedded=False, train=1,
    test=1, options={}
)
DATASETS = {"mypics": entry}
"""


def test_what_is_absent_here_can_be_planned_but_not_run(written, bench_command, tmp_path, store_root):
    """A set of the user's that is not built: plan notes it; the counts of a built one are those of its pictures."""
    path = written(("name: shapes, res", "name: mypics, res"))
    (tmp_path / "mine.py").write_text(PLUGIN)
    extra = ["--plugin", str(tmp_path / "mine.py")]
    cache = {"BENCH_CACHE": str(tmp_path / "cache")}
    done = bench_command("plan", str(path), *extra, **cache)
    absent = "data set 'mypics' at 32 px is not built; run `bench data build mypics --resolution 32 --from DIR`"
    assert done.returncode == 0 and f"missing: {absent}\n" in done.stdout, done.stderr
    done = bench_command("run", str(path), *extra, **cache)
    assert done.returncode == 2 and absent in done.stderr and not store_root.exists()
    folder = tmp_path / "cache" / "data" / "mypics-32"
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(META)
    done = bench_command("plan", str(path), *extra, **cache)
    assert done.returncode == 2
    assert "16 shots, but data set 'mypics' at 32 px has 9 training images" in done.stderr
    assert "24 reference images, but data set 'mypics' at 32 px has 7 test images" in done.stderr


META = json.dumps({
    "sha256": "0", "class_names": [], "licence": "mine",
    "recipe": {"builder": "bench.datasets.folder:build", "options": {}, "train": 1, "test": 1},
    "files": {
        file: {"sha256": "0", "dtype": "|u1", "bytes": 1, "shape": [count, 32, 32, 3]}
        for file, count in (("train.npy", 9), ("test.npy", 7))
    },
})  # fmt: skip


def test_extractors_that_only_their_user_can_supply(written, bench_command, tmp_path):
    path = written(("method: disp + diffaugment", "method: 'disp(prior=resnet50, prior_size=224)'"))
    weights = {"BENCH_WEIGHTS": str(tmp_path / "none")}
    done = bench_command("plan", str(path), **weights)
    assert done.returncode == 0 and "missing: extractor 'resnet50': weights " in done.stdout, done.stderr
    done = bench_command("run", str(path), **weights)
    assert done.returncode == 2 and re.search(r"mine.yaml:7: rows.1.method: extractor 'resnet50'", done.stderr)
    assert bench_command("plan", str(path), "--rows", "scratch", **weights).stdout.count("missing") == 0


@pytest.mark.parametrize("name", table_names())
def test_shipped_tables_are_possible(name, store_root):
    """Every row at every scale, networks and methods constructed: no false alarm, nothing but absent files."""
    table = load_table(name)
    if (waits := to_come(table)) is not None:
        with pytest.raises(UserError, match=re.escape(waits)):
            make_plan(table, next(iter(table.scales)), Store(store_root))
        return
    rows = [row.id for row in table.rows if row.printed_only is None]
    for scale in table.scales:
        made = make_plan(table, scale, Store(store_root), rows, seeds=[0])
        found = problems(made, deep=True, build=False)
        assert [problem for problem in found if not problem.absent] == []


def labels_of(name: str) -> np.ndarray:
    """The training labels of a drawn set, which are settled before a picture is drawn: to draw them takes minutes."""
    drawn, slots = (importlib.import_module(f"bench.datasets.{one}") for one in ("drawn", "common.slots"))
    entry = datasets().load(name)
    assert entry.builder == "bench.datasets.drawn:build"
    classes = len(drawn.Drawer(Order(name, entry, 32, None, Path())).subjects)
    found = slots.slots(whole_name(name), entry.train, entry.test, classes)
    return np.array([slot.label for slot in found if slot.split == "train"])


def test_draws_of_shipped_tables_fit_the_labels_of_their_sets(store_root, tmp_path):
    """What the check of each table leaves out where a set is not built."""
    drawn: dict[DataSpec, None] = {}
    for name in table_names():
        table = load_table(name)
        for scale in table.scales if to_come(table) is None else ():
            found = (run.spec.data for run in make_plan(table, scale, Store(store_root), seeds=[0]).runs)
            drawn |= {one: None for one in found if one.balanced or one.corrupt_labels is not None}
    embedded = [data for data in drawn if datasets().load(data.name).embedded]
    assert {"scenes-5", "styles-100"} <= {data.name for data in embedded}
    few = imageset.load("scenes-5@10", 8)
    assert few.train_labels.tolist() == labels_of("scenes-5")[:10].tolist(), "the same as in a set that is built"
    for data in embedded:
        labels = labels_of(data.name)
        images = replace(few, train=np.zeros((len(labels), 1)), train_labels=labels,
                         class_names=tuple(map(str, sorted(set(labels.tolist())))))  # fmt: skip
        assert draws.label_problem(images, data, 0) is None
    (data, *_) = (data for data in embedded if data.balanced)
    assert draws.label_problem(images, data.model_copy(update={"shots": 3}), 0) is not None


@pytest.mark.parametrize("name", networks.names())
def test_the_name_of_a_network_ends_with_what_it_makes(name):
    with weightless():
        generator, _ = networks.build(name)
    assert networks.resolution(name) == generator.resolution


def test_own_tables_of_this_project_are_possible(store_root):
    for path in sorted((Path(__file__).parents[3] / "experiments").glob("*.yaml")):
        table = load_table(str(path))
        made = make_plan(table, "mini", Store(store_root), seeds=[0])
        assert [problem for problem in problems(made, deep=True, build=False) if not problem.absent] == []
