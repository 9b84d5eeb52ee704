"""`bench bundle`, `bench merge` and the options of `bench record`: from the command line, to the report of all runs."""

from __future__ import annotations

import zipfile

import pytest

from bench.plan.load import load_table
from bench.store.runs import Store
from shared_runs import contents, fill, finish, rewritten, specs


@pytest.fixture
def says(bench_command, tmp_path):
    """What a command prints, with its exit status; the last lines are those of stderr."""

    def says(*words, status=0):
        done = bench_command(*map(str, words), cwd=tmp_path, BENCH_RECORDED=str(tmp_path / "sets"))
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    return says


@pytest.fixture
def stores(tmp_path):
    """One store with all runs, two with a part each, which share the runs of one row."""
    names = ("one", "first", "second")
    one, first, second = (Store(tmp_path / name) for name in names)
    fill(one)
    fill(first, ["scratch", "scratch+disp"], [0])
    fill(first, ["scratch"], [1])
    fill(second, ["scratch"], seconds=7.0)
    fill(second, ["diffaugment"])
    fill(second, ["scratch+disp"], [1])
    point = load_table("table1")
    (faces,) = point.pick_columns(["faces"])
    for store in (one, second):
        finish(store, "floor", point.reference_spec("floor", faces, 0, "smoke"), value=10.0)
    return dict(zip(names, (one, first, second), strict=True))


@pytest.mark.parametrize("form", ["csv", "markdown"])
def test_two_machines_merge_to_the_table_that_one_would_give(form, says, stores, tmp_path):
    for name in ("first", "second"):
        told = says("bundle", "--store", stores[name].root, "--output", f"{name}.zip")
        assert told.startswith(f"wrote {name}.zip: ") and "sha256 of its manifest: " in told
    told = says("merge", "first.zip", "second.zip", "--store", tmp_path / "all")
    assert "first.zip: 3 copied\n" in told and "second.zip: 4 copied, 2 the same as here\n" in told
    assert told.endswith(f"{tmp_path / 'all'}: 7 runs now\n")
    report = ["report", "table1", f"--{form}", "--store"]
    assert says(*report, tmp_path / "all") == says(*report, stores["one"].root)
    # The stores themselves give the same, and another time changes nothing
    says("merge", stores["first"].root, stores["second"].root, "--store", tmp_path / "direct")
    assert says(*report, tmp_path / "direct") == says(*report, stores["one"].root)
    before = contents(tmp_path / "all")
    assert "3 the same as here\n" in says("merge", "first.zip", "--store", tmp_path / "all")
    assert contents(tmp_path / "all") == before


def test_a_table_and_its_filters_say_what_a_bundle_has(says, stores, tmp_path):
    one = stores["one"].root
    every = says("bundle", "table1", "--store", one, "--output", "every.zip")
    assert "wrote every.zip: 7 runs" in every
    same = says("bundle", "--store", one, "--output", "whole.zip")
    assert (
        same.splitlines()[1] == every.splitlines()[1]
        and (tmp_path / "every.zip").read_bytes() == (tmp_path / "whole.zip").read_bytes()
    )
    some = ["table1", "--rows", "scratch,diffaugment", "--seeds", "0", "--no-references", "--jobs", "2", "--no-train"]
    assert "wrote some.zip: 2 runs" in says("bundle", *some, "--store", one, "--output", "some.zip")
    with zipfile.ZipFile(tmp_path / "some.zip") as archive:
        found = {name.split("/")[1] for name in archive.namelist() if name.startswith("runs/")}
    assert found == {spec.uid for _, spec in specs(["scratch", "diffaugment"], [0])}
    # What cannot be is one line
    refused = says("bundle", "table1", "--store", one, "--output", "some.zip", status=2)
    assert refused == "bench: error: some.zip is there already; --force writes in its place\n"
    assert "7 runs" in says("bundle", "--store", one, "--output", "some.zip", "--force")
    assert "--rows is of a table" in says("bundle", "--rows", "scratch", "--store", one, "--output", "x.zip", status=2)
    assert "no folder" in says("bundle", "--store", one, "--output", "gone/x.zip", status=2)
    assert "no finished run" in says("bundle", "table1", "--store", "empty", "--output", "x.zip", status=2)
    assert "unknown row" in says("bundle", "table1", "--rows", "scrtch", "--store", one, "--output", "x.zip", status=2)
    assert not (tmp_path / "x.zip").exists()


def test_a_bundle_has_what_its_runs_start_from(says, tmp_path):
    """A report looks at the record of a source: whether a run is stale depends on it."""
    store = Store(tmp_path / "one")
    (_, spec), *_ = specs(["transfergan"], [0])
    for source in spec.run_sources.values():
        finish(store, "source", source, value=1.0)
    finish(store, "transfergan", spec, value=50.0)
    assert len(store.uids()) == 2
    told = says("bundle", "table1", "--rows", "transfergan", "--seeds", "0", "--store", store.root, "--output", "x.zip")
    assert "wrote x.zip: 2 runs" in told


def test_conflicts_are_named_and_the_status_is_2(says, stores, tmp_path):
    (row, spec), *_ = specs(["scratch"], [0])
    finish(Store(tmp_path / "third"), row, spec, digest="e" * 64)
    before = contents(stores["one"].root)
    told = says("merge", "third", "--store", stores["one"].root, status=2)
    (line,) = [line for line in told.splitlines() if line.startswith("conflict: ")]
    assert line.startswith(f"conflict: {spec.uid}: another weights_sha256: ") and "--keep store" in told
    assert contents(stores["one"].root) == before
    assert "1 left as the store has them" in says("merge", "third", "--store", stores["one"].root, "--keep", "store")
    assert contents(stores["one"].root) == before
    assert "1 in the place" in says("merge", "third", "--store", stores["one"].root, "--keep", "source")


def test_a_tampered_bundle_is_refused_in_one_line_before_anything_is_written(says, stores, tmp_path):
    says("bundle", "--store", stores["one"].root, "--output", "sent.zip")
    says("bundle", "--store", stores["first"].root, "--output", "good.zip")
    rewritten(tmp_path / "sent.zip", lambda members: {n: d.replace(b"100.0", b"90.01") for n, d in members.items()},
              tmp_path / "bad.zip")  # fmt: skip
    told = says("merge", "good.zip", "bad.zip", "--store", tmp_path / "all", status=2)
    assert told.startswith("bench: error: bundle bad.zip: ") and told.count("\n") == 1
    assert "is not what the manifest says" in told and not (tmp_path / "all").exists()


def test_weights_that_a_bundle_does_not_have_are_missed_in_one_line(says, stores, tmp_path):
    says("bundle", "--store", stores["one"].root, "--output", "sent.zip")
    says("merge", "sent.zip", "--store", tmp_path / "all")
    (_, spec), *_ = specs(["scratch"], [0])
    told = says("sample", spec.uid, "--store", tmp_path / "all", "--output", "out", status=2)
    assert "has no weights of its final snapshot" in told and "a bundle has none" in told


def test_record_keeps_what_run_can_name(says, stores, tmp_path):
    words = ["record", "table1", "--as", "mine", "--store", stores["one"].root, "--jobs", "2", "--device", "cpu"]
    told = says(*words, "--rows", "scratch", "--columns", "faces", "--seeds", "0", "--no-references", "--no-train")
    assert ": 1 new runs, 0 renewed, 0 kept" in told
    assert ": 3 new runs, 1 renewed, 0 kept" in says(*words, "--seeds", "0")  # two rows and the floor
    assert "must be a number from 1" in says(*words, "--runs-per-gpu", "none", status=2)
