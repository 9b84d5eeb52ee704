"""`bench compare`: against the rows of another table, and as a page, a file for programs or LaTeX."""

from __future__ import annotations

import json

import pytest
import yaml

from bench.plan.load import load_table
from bench.store.runs import Store

LEVELS = {"plain": 100.0, "flip": 80.0}
DATA = {"name": "digits", "resolution": 32, "shots": 100}


def table(path, rows=LEVELS, snapshot="final", data=DATA, steps=4, counts=(50, 50), split=None):
    """A table at smoke with one column of digits."""
    protocol = {"name": "few-shot", "version": 1, "every": 2, "metrics": [{"name": "fd", "extractor": "vgg16@32"}]}
    scale = {
        "network": {"name": "sngan-32"},
        "train": {"steps": steps, "batch": 4, "g_lr": 2e-4, "d_lr": 2e-4},
        "protocol": {**protocol, **({"reference_split": split} if split else {})},
        "columns": {"digits": {"data": data, "generated": counts[0], "reference": counts[1]}},
    }
    methods = {"plain": "baseline", "flip": "diffaugment + baseline", "ours": "r1 + baseline"}
    value = {
        "title": path.stem, "seeds": 3, "snapshot": snapshot, "metrics": ["fd"],
        "rows": [{"id": row, "label": row, "method": methods[row]} for row in rows],
        "columns": [{"id": "digits", "label": "Digits"}], "scales": {"mini": scale},
    }  # fmt: skip
    path.write_text(yaml.safe_dump(value))
    return str(path)


def train(path, store, levels):
    """Three finished runs a row, as a worker leaves them, an hour each."""
    spec = load_table(path)
    for row in spec.rows:
        for seed in range(3):
            folder = store.open(spec.run_spec(row, spec.columns[0], seed, "mini"))
            cpu = {"device": "a CPU", "cpu": "a CPU", "gpus": [], "threads": 1}
            folder.begin(cpu)
            value = levels[row.id] + seed + row.id.count("l")
            score = {"step": 4, "metric": "fd", "extractor": "vgg16@32", "value": value,
                     "n_generated": 50, "n_reference": 50}  # fmt: skip
            folder.append(folder.metrics_log, [score])
            folder.finish({"steps": 4, "diverged_at": None, "weights_sha256": None, "seconds": 3600.0})


@pytest.fixture
def says(bench_command, tmp_path):
    """What `bench compare` says of ours, which has three runs; `other` is a table of two rows, trained as asked."""
    store = Store(tmp_path / "store")
    ours = table(tmp_path / "ours.yaml", ["ours"])
    train(ours, store, {"ours": 60.0})

    def says(*words, status=0, **other):
        theirs = table(tmp_path / "theirs.yaml", **other)
        train(theirs, store, LEVELS)
        done = bench_command("compare", "ours", "--table", ours, "--scale", "mini", "--against", theirs, "--store",
                             str(store.root), *words, cwd=tmp_path)  # fmt: skip
        assert done.returncode == status, done.stderr
        return done.stdout if status == 0 else done.stderr

    return says


def test_another_tables_rows_of_the_same_data_and_protocol(says):
    told = says()
    assert "rank 1 of 3, 95 % interval 1 to 1" in told and told.count("better") == 3  # the head and two rows
    assert "Trained otherwise" not in told and "measured cost on a CPU" in told
    assert "Trained otherwise (ours first): steps 4 against 6: plain in digits, flip in digits." in says(steps=6)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"snapshot": "best"}, "the final snapshot against the best one (plain in digits, flip in digits)"),
        ({"counts": (40, 50)}, "50 generated images against 40"),
        ({"counts": (50, 30)}, "50 reference images against 30"),
        ({"split": "training-images"}, "reference images of the test split against, the run's own training images"),
        ({"data": {**DATA, "shots": 50}}, "has no column of the data of ours: it has digits, 32 px, 50 shots"),
    ],
)
def test_what_is_scored_otherwise_is_refused_with_the_difference(says, other, words):
    told = says(status=2, **other)
    assert words in told and len(told.splitlines()) == 1


def test_every_form(says, tmp_path):
    made = json.loads(says("--json"))["comparisons"][0]
    assert (made["method"], made["columns"][0]["rank"]) == ("ours", 1)
    assert says("--csv").splitlines()[0].startswith("method,against,table,scale,metric")
    assert "\\toprule" in says("--latex") and "| plain | better |" in says("--markdown")
    written = says("--html", "site").split()[1]
    page = (tmp_path / written).read_text()
    assert (
        page.startswith("<!doctype html>") and 'href="report.css"' in page and (tmp_path / "site/report.css").is_file()
    )
    whole = says("--single")
    assert whole.startswith("<!doctype html>") and "report.css" not in whole
    assert "--json is printed, and --html, --single and --open make a page" in says("--json", "--single", status=2)
