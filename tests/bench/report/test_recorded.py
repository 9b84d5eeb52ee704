"""Recorded sets: nothing is lost by recording a part, and nobody's set is mixed with another's."""

import os

import numpy as np
import pytest

from bench.errors import UserError
from bench.report.baselines import baselines_of
from bench.report.recorded import holdings, load_recorded, recorded_sets, save_recorded

TABLE = "disp/table1"


@pytest.fixture
def save(tmp_path):
    def save(frame, name="mine", root=tmp_path / "sets", **options):
        return save_recorded(frame, name, TABLE, "smoke", root, **options)

    return save


def test_recording_some_rows_keeps_the_others(save, simulated, tmp_path):
    whole = simulated()
    first = save(whole)
    assert (first.new, first.replaced, first.kept) == (30, 0, 0)
    before = load_recorded("mine", root=tmp_path / "sets")
    some = whole[(whole["row"] == "ada") & (whole["column"] == "faces")].assign(value=1.5)
    saved = save(some)
    assert (saved.new, saved.replaced, saved.kept) == (0, 3, 27)
    after = load_recorded("mine", root=tmp_path / "sets")
    assert len(after) == len(before)
    renewed = (after["row"] == "ada") & (after["column"] == "faces")
    assert (after.loc[renewed, "value"] == 1.5).all() and not (after.loc[~renewed, "value"] == 1.5).any()
    assert holdings("mine", tmp_path / "sets") == [(TABLE, "smoke", 30)]


@pytest.mark.filterwarnings("error")
def test_numbers_are_read_as_they_were_written(save, simulated, tmp_path):
    """To the last bit, small and large ones."""
    frame, keys = simulated(), ["row", "column", "seed", "step", "metric"]
    stream = np.random.default_rng(0)
    frame["value"] = stream.random(len(frame)) * 10.0 ** stream.integers(-300, 300, len(frame))
    save(frame)
    read = load_recorded("mine", root=tmp_path / "sets")
    found, written = (one.set_index(keys)["value"].to_dict() for one in (read, frame))
    assert found == written and len(written) == len(frame)


def test_recording_everything_again_gives_the_same_file(save, simulated):
    path = save(simulated()).path
    text = path.read_bytes()
    assert save(simulated()).path.read_bytes() == text


def test_another_run_in_the_same_place_is_refused_unless_asked_for(save, simulated, tmp_path):
    """A run with --set train.steps=300 has the row, column and seed of the table's own, and is not it."""
    path = save(simulated()).path
    text = path.read_bytes()
    other = simulated().assign(uid=lambda frame: frame["uid"] + "x")
    with pytest.raises(UserError, match="holds another run of scratch · anime · seed 0 .scratch_anime_s0, .*29 more"):
        save(other)
    assert path.read_bytes() == text
    assert save(other, replace=True).replaced == 30
    assert all(uid.endswith("x") for uid in load_recorded("mine", root=tmp_path / "sets")["uid"])


@pytest.mark.parametrize("name", ["runs", "recorded", "paper", "Mine", "../x"])
def test_a_name_that_means_something_else_is_refused(name, save, simulated, tmp_path):
    with pytest.raises(UserError, match="use lower-case"):
        save(simulated(), name)
    assert not (tmp_path / "sets").exists()


def test_the_environment_names_folders_that_are_read_and_written(save, simulated, tmp_path, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    monkeypatch.setenv("BENCH_RECORDED", f"{first}{os.pathsep}{second}")
    save(simulated(), "other", second)
    assert save(simulated(), "mine", None).path.parent == first / "mine"  # the first of them is the default
    assert set(recorded_sets()) == {"mine", "other", "cpu"}
    assert len(load_recorded("mine")) == len(load_recorded("other")) > 0
    assert not load_recorded("cpu").empty  # what ships is always there
    with pytest.raises(
        UserError, match=f"unknown recorded set 'mime'; known: cpu, mine, other .looked for in {first}, "
    ):
        load_recorded("mime")
    with pytest.raises(UserError, match="'other' is in .*second already"):
        save(simulated(), "other", None)
    save(simulated(), "mine", tmp_path / "third")  # a folder that is not in force
    monkeypatch.setenv("BENCH_RECORDED", f"{first}{os.pathsep}{tmp_path / 'third'}")
    with pytest.raises(UserError, match="'mine' is there twice: .*first.*third"):
        load_recorded("mine")


def test_a_set_without_the_scale_says_what_it_holds(save, simulated, spec, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_RECORDED", str(tmp_path / "sets"))
    save(simulated())
    with pytest.raises(UserError, match=r"holds nothing of disp/table1 at scale paper; it holds disp/table1 at smoke "
                                        r"\(30 runs\). --against runs"):  # fmt: skip
        baselines_of("mine", spec, "paper", simulated(), "ada", None, None)


def test_recorded_runs_of_other_settings_are_no_baselines(save, simulated, table, tmp_path, monkeypatch):
    """Scratch was recorded under the table's settings, DISP under others, `somebody` is no row of the table."""
    monkeypatch.setenv("BENCH_RECORDED", str(tmp_path / "sets"))
    spec = table(rows=[
        {"id": "scratch", "label": "From scratch", "method": "baseline"},
        {"id": "scratch+disp", "label": "+ DISP", "method": "diffaugment"},
        {"id": "ada", "label": "ADA", "method": "diffaugment + baseline"},
    ])  # fmt: skip
    rows, columns = {row.id: row for row in spec.rows}, {column.id: column for column in spec.columns}
    frame = simulated()

    def uid(line):
        if line["row"] != "scratch":
            return line["uid"]
        return spec.run_spec(rows[line["row"]], columns[line["column"]], line["seed"], "smoke").uid

    frame["uid"] = [uid(line) for line in frame.to_dict("records")]
    frame["row"] = frame["row"].replace("ada", "somebody")
    save(frame)
    found, remarks = baselines_of("mine", spec, "smoke", frame, "ada", None, None)
    assert set(found.loc[found["kind"] == "train", "row"]) == {"scratch", "somebody"}
    assert remarks == [
        "Left out of 'mine', recorded with other settings or versions than asked for: scratch+disp (6 runs).",
        "Of 'mine', not checked for equal settings, as the table has no such row: somebody.",
        "Of 'mine', inputs not recorded: whether data and weights were ours is not known.",
    ]
    found, _ = baselines_of("mine", spec, "smoke", frame, "ada", ["somebody"], [0, 2])
    train = found[found["kind"] == "train"]
    assert set(train["row"]) == {"somebody"} and set(train["seed"]) == {0, 2}
    with pytest.raises(UserError, match="no scores of a row 'scrath' to compare with; did you mean 'scratch'"):
        baselines_of("mine", spec, "smoke", frame, "ada", ["scrath"], None)


def test_the_rows_of_ones_own_store_are_baselines_too(spec, simulated, frame):
    found, remarks = baselines_of("runs", spec, "smoke", simulated(), "ada", None, None)
    assert set(found["row"]) == {"scratch", "scratch+disp"} and remarks == []
    alone = simulated()
    with pytest.raises(UserError, match="no scores of other rows"):
        baselines_of("runs", spec, "smoke", alone[alone["row"] == "ada"], "ada", None, None)


def test_text_stays_text_whatever_it_looks_like(save, simulated, tmp_path):
    """A commit of digits, or of digits and an e, is no number; a row called NA is no gap."""
    frame = simulated().assign(commit="0123456789")
    frame["row"] = frame["row"].replace({"ada": "NA", "scratch": "007"})
    frame.loc[frame["row"] == "NA", "commit"] = "12345678e9"
    save(frame)
    kept = load_recorded("mine", root=tmp_path / "sets")
    assert {"NA", "007"} < set(kept["row"]) and set(kept["commit"]) == {"0123456789", "12345678e9"}
    assert kept["value"].tolist() == frame["value"].tolist()
