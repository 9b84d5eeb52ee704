"""Curves for trackers: what is in them, as TensorBoard and line by line; written once, while runs train."""

from __future__ import annotations

import json
import math
import struct
import sys
import threading
import time

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

import shared_runs
from bench.cli.main import cli
from bench.errors import UserError
from bench.report.trackers import json_lines
from bench.report.trackers.event_files import EventFiles
from bench.report.trackers.history import flat, history
from bench.run.execute import run_once
from bench.store.layout import checkpoint
from bench.store.runs import Store

FORMS = ("tensorboard", "jsonl")
SCORE = "score/fd_effnet_lite0_64"


def export(*words):
    cli.main(["export", *map(str, words)], standalone_mode=False)


def finished(store, row="scratch", seed=0, **more):
    ((_, spec),) = shared_runs.specs([row], [seed])
    return shared_runs.finish(store, row, spec, **more)


def unfinished(store, spec, steps, saved):
    """A run at work: losses and scores up to `steps`, a checkpoint at `saved`."""
    folder = store.open(spec)
    folder.add_provenance(shared_runs.START)
    folder.append(folder.train_log, [{"step": step, "d_loss": step / 2} for step in range(1, steps + 1)])
    save(folder, saved)
    return folder


def save(folder, step):
    folder.state.mkdir(exist_ok=True)
    checkpoint(folder.state, step).touch()


def lines(folder, uid):
    return [json.loads(line) for line in (folder / uid / json_lines.NAME).read_text().splitlines()]


def steps(folder, uid):
    return [line["_step"] for line in lines(folder, uid) if "_step" in line]


def events(folder, uid):
    read = EventAccumulator(str(folder / uid), size_guidance={"images": 0, "scalars": 0, "tensors": 0})
    read.Reload()
    return read


def curve(folder, uid, tag):
    return [(event.step, event.value) for event in events(folder, uid).Scalars(tag)]


def shown(form, folder, uid, tag):
    """(step, value) of a curve, in either form."""
    if form == "tensorboard":
        return curve(folder, uid, tag)
    return [(line["_step"], line[tag]) for line in lines(folder, uid) if tag in line]


def same(found, expected):
    return [step for step, _ in found] == [step for step, _ in expected] and all(
        math.isclose(value, wanted, rel_tol=1e-6) for (_, value), (_, wanted) in zip(found, expected, strict=True)
    )  # event files have single precision


@pytest.mark.parametrize("form", FORMS)
def test_losses_scores_and_pace_of_several_runs(form, store_root, tmp_path):
    runs = [finished(Store(store_root), row, seconds=40.0) for row in ("scratch", "diffaugment")]
    export(*(run.uid for run in runs), "--to", form, "--output", tmp_path / "out")
    for run in runs:
        scores = [(line["step"], line["value"]) for line in run.metrics()]
        assert len(scores) == 2 and same(shown(form, tmp_path / "out", run.uid, SCORE), scores)
        assert same(shown(form, tmp_path / "out", run.uid, "train/d_loss"), [(10, 1.0)])
        assert same(shown(form, tmp_path / "out", run.uid, "time/seconds_per_step"), [(20, 2.0)])


def test_tensorboard_shows_sample_grids_settings_and_provenance(store_root, tmp_path):
    run = finished(Store(store_root), seconds=40.0)
    export(run.uid, "--to", "tensorboard", "--output", tmp_path)
    read = events(tmp_path, run.uid)
    pictures = read.Images("samples")
    assert [one.step for one in pictures] == [10, 20]
    assert [one.encoded_image_string for one in pictures] == [path.read_bytes() for path in run.sheets()]
    assert {(one.width, one.height) for one in pictures} == {(8, 8)}
    # Hyperparameters, as the HParams dashboard reads them
    content = read.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    chosen = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
    wanted = flat(run.spec().model_dump(mode="json", exclude_none=True))
    assert chosen.hparams["train.steps"].number_value == wanted["train.steps"] > 0
    assert chosen.hparams["network.name"].string_value == wanted["network.name"]
    assert len(chosen.hparams) == len(wanted) + 1 and chosen.hparams["run"].string_value.endswith("seed 0")
    # Text: settings at the beginning, what came of it at the end
    (about,), (end,) = read.Tensors("run/settings"), read.Tensors("run/provenance")
    assert json.loads(about.tensor_proto.string_val[0])["config"] == run.spec().model_dump(
        mode="json", exclude_none=True
    )
    found = json.loads(end.tensor_proto.string_val[0])
    assert found["starts"] == run.starts() and found["summary"]["weights_sha256"] == run.result()["weights_sha256"]
    # The steps of a run whose record has 40 s for 20 steps lie two seconds apart
    assert pictures[1].wall_time - pictures[0].wall_time == pytest.approx(20)


def test_json_lines_are_in_the_words_of_wandb(store_root, tmp_path):
    run = finished(Store(store_root), seconds=40.0)
    run.append(run.train_log, [{"step": 20, "d_loss": float("nan"), "g_loss": float("inf")}])
    export(run.uid, "--to", "jsonl", "--output", tmp_path)
    head, first, last, summary = lines(tmp_path, run.uid)
    assert (head["_type"], head["id"], head["project"]) == ("run", run.uid, json_lines.PROJECT)
    assert head["config"] == run.spec().model_dump(mode="json", exclude_none=True)
    assert head["provenance"] == run.starts()[:1] and head["_timestamp"] == 1767225600.0  # 2026-01-01T00:00:00Z
    assert first["_timestamp"] == head["_timestamp"] + 20 and first["_runtime"] == 20.0
    assert (last["train/d_loss"], last["train/g_loss"]) == ("NaN", "Infinity")
    assert (
        summary["_type"] == "summary" and summary["seconds_per_step"] == 2.0 and summary["provenance"] == run.starts()
    )
    # A picture is a file beside the lines, by wandb's record of one
    picture = first["samples"]
    assert picture["_type"] == "image-file" and (picture["width"], picture["height"]) == (8, 8)
    assert (tmp_path / run.uid / picture["path"]).read_bytes() == run.sheet(10).read_bytes()
    # No line has what JSON has not
    text = (tmp_path / run.uid / json_lines.NAME).read_text()
    assert all(json.loads(line, parse_constant=pytest.fail) for line in text.splitlines())


@pytest.mark.parametrize("form", FORMS)
def test_the_diff_of_an_edited_checkout_stays_in_the_store(form, store_root, tmp_path):
    run = finished(Store(store_root))
    run.add_provenance({**shared_runs.START, "diff": "SECRET LINE", "diff_sha256": "0" * 64})
    export(run.uid, "--to", form, "--output", tmp_path)
    written = b"".join(path.read_bytes() for path in (tmp_path / run.uid).iterdir() if path.is_file())
    assert b"SECRET" not in written and b"0" * 64 in written


@pytest.mark.parametrize("form", FORMS)
def test_the_runs_of_a_table_that_have_begun(form, store_root, tmp_path, capsys):
    runs = [finished(Store(store_root), "scratch", seed) for seed in (0, 1)]
    finished(Store(store_root), "diffaugment")
    words = ["--table", "table1", "--scale", "smoke", "--rows", "scratch", "--to", form, "--output", tmp_path / "out"]
    export(*words)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {run.uid for run in runs}
    assert "2 runs, 4 steps added" in capsys.readouterr().out
    if form == "jsonl":
        assert lines(tmp_path / "out", runs[0].uid)[0]["name"] == "scratch · faces · seed 0"


@pytest.mark.parametrize("form", FORMS)
def test_what_is_there_is_not_written_again(form, store_root, tmp_path, capsys):
    run = finished(Store(store_root))
    for said in ("2 steps added", "0 steps added"):
        export(run.uid, "--to", form, "--output", tmp_path)
        assert said in capsys.readouterr().out
        files = {path: path.read_bytes() for path in (tmp_path / run.uid).iterdir() if path.is_file()}
        assert len(files) == 1
    assert len(shown(form, tmp_path, run.uid, SCORE)) == 2


@pytest.mark.parametrize("form", FORMS)
def test_an_export_that_was_killed_in_the_middle_of_a_record_goes_on(form, store_root, tmp_path):
    run = finished(Store(store_root))
    export(run.uid, "--to", form, "--output", tmp_path)
    (file,) = (path for path in (tmp_path / run.uid).iterdir() if path.is_file())
    whole = file.read_bytes()
    for cut in (len(whole) - 3, len(whole) * 2 // 3, len(whole) // 3, 5):
        for other in (tmp_path / run.uid).iterdir():
            if other.is_file() and other != file:
                other.unlink()
        file.write_bytes(whole[:cut])
        export(run.uid, "--to", form, "--output", tmp_path)
        scores = [(line["step"], line["value"]) for line in run.metrics()]
        assert same(shown(form, tmp_path, run.uid, SCORE), scores), cut
    if form == "jsonl":
        assert file.read_bytes() == whole


@pytest.mark.parametrize("form", FORMS)
def test_of_a_run_at_work_what_its_checkpoint_has(form, store_root, tmp_path, tiny_spec):
    """What comes after it would be computed again: a tracker takes nothing back."""
    folder = unfinished(Store(store_root), tiny_spec(steps=12), steps=9, saved=6)
    export(folder.uid, "--to", form, "--output", tmp_path)
    assert same(shown(form, tmp_path, folder.uid, "train/d_loss"), [(step, step / 2) for step in range(1, 7)])
    # Resumed: its records are cut back to the checkpoint, and it goes on
    folder.rewind(6)
    folder.append(folder.train_log, [{"step": step, "d_loss": step / 2} for step in range(7, 12)])
    save(folder, 10)
    export(folder.uid, "--to", form, "--output", tmp_path)
    assert same(shown(form, tmp_path, folder.uid, "train/d_loss"), [(step, step / 2) for step in range(1, 11)])


@pytest.mark.parametrize("form", FORMS)
def test_a_run_that_went_back_behind_what_was_exported_and_on_otherwise(form, store_root, tmp_path, tiny_spec):
    """Its newest checkpoint was damaged, or it was trained anew on another card: each step has its last value, once."""
    folder = unfinished(Store(store_root), tiny_spec(steps=12), steps=8, saved=8)
    export(folder.uid, "--to", form, "--output", tmp_path)
    folder.rewind(3)
    folder.append(folder.train_log, [{"step": step, "d_loss": 100.0 + step} for step in range(4, 10)])
    save(folder, 9)
    export(folder.uid, "--to", form, "--output", tmp_path)
    expected = [(step, step / 2 if step <= 3 else 100.0 + step) for step in range(1, 10)]
    assert same(shown(form, tmp_path, folder.uid, "train/d_loss"), expected)
    export(folder.uid, "--to", form, "--output", tmp_path)
    assert same(shown(form, tmp_path, folder.uid, "train/d_loss"), expected)


def test_numbers_that_single_precision_lacks(store_root, tmp_path, tiny_spec):
    folder = unfinished(Store(store_root), tiny_spec(), steps=1, saved=2)
    values = [1e300, -1e300, float("nan"), 1e-320]
    folder.append(folder.train_log, [{"step": 2, **{f"x{number}": value for number, value in enumerate(values)}}])
    for _ in range(2):
        files = EventFiles(tmp_path, folder.uid)
        files.update(history(folder, "a run"))
        files.close()
    found = [curve(tmp_path, folder.uid, f"train/x{number}") for number in range(4)]
    assert all(len(points) == 1 for points in found)
    packed = [struct.pack("<f", points[0][1]) for points in found]
    assert packed == [struct.pack("<f", value) for value in (math.inf, -math.inf, math.nan, 0.0)]


@pytest.mark.parametrize("form", FORMS)
def test_followed_while_it_trains_stopped_and_resumed(form, store_root, tmp_path, tiny_spec, monkeypatch, capsys):
    """A real training, interrupted in the middle: the export follows both starts, and equals one made afterwards."""
    monkeypatch.setenv("BENCH_CHECKPOINT_SECONDS", "0")
    spec = tiny_spec(steps=9, scored=True)
    store = Store(store_root)
    store.open(spec)
    seen = []

    def so_far():
        try:
            return len(shown(form, tmp_path, spec.uid, "train/d_loss"))
        except (KeyError, OSError, ValueError):  # nothing yet
            return 0

    def train(last):
        reached = [0]

        def stepped(step, of):
            reached[0] = step
            time.sleep(0.15)
            seen.append(so_far())

        return run_once(spec.uid, store_root, should_stop=lambda: reached[0] >= last, on_step=stepped)

    for last, outcome in ((5, "stopped"), (99, "done")):
        outcomes = []
        worker = threading.Thread(target=lambda last=last, outcomes=outcomes: outcomes.append(train(last)))
        worker.start()
        while store.folder(spec.uid).status() != "running":
            time.sleep(0.01)
        export(spec.uid, "--to", form, "--output", tmp_path, "--follow", "--every", "0.2")
        worker.join()
        assert outcomes == [outcome]
        assert "steps added" in capsys.readouterr().out
    assert [step for step, _ in shown(form, tmp_path, spec.uid, "train/d_loss")] == list(range(1, 10))
    assert 0 < max(seen[:-1]) < 9  # while it trained
    export(spec.uid, "--to", form, "--output", tmp_path / "after")
    tag = "score/fd_effnet_lite0_32"
    assert shown(form, tmp_path, spec.uid, tag) == shown(form, tmp_path / "after", spec.uid, tag) != []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--to", "jsonl"], "name a RUN or several, or a table's runs by --table"),
        (["--to", "jsonl", "--table", "table1", "--scale", "smoke", "--rows", "freezed"], "none of these runs is in"),
        (["RUN", "--to", "jsonl", "--force"], "--force does not go with --to jsonl"),
        (["RUN", "--to", "tensorboard", "--snapshot", "best"], "--snapshot does not go with --to tensorboard"),
        (["RUN", "--follow"], "--follow does not go with --to torch"),
        (["RUN", "RUN"], "a generator is of one RUN, and 2 is named"),
        ([], "a generator is of one RUN, and none is named"),
    ],
)
def test_what_does_not_go_together_is_refused(words, why, store_root, tmp_path):
    uid = finished(Store(store_root)).uid
    with pytest.raises(UserError, match=why):
        export(*(uid if word == "RUN" else word for word in words), "--output", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_is_no_folder_for_curves(store_root, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UserError, match="is a file; name a folder"):
        export(finished(Store(store_root)).uid, "--to", "jsonl", "--output", tmp_path / "out")


def test_without_tensorboard_the_extra_is_named(store_root, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    run = finished(Store(store_root))
    with pytest.raises(UserError, match=r"is an extra: pip install 'lowdata-gan-bench\[tensorboard\]'"):
        export(run.uid, "--to", "tensorboard", "--output", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    export(run.uid, "--to", "jsonl", "--output", tmp_path / "out")
