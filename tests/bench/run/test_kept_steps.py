"""Steps whose weights a training keeps: what is kept, what an evaluation sees of them, and steps that are not kept."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import yaml

from bench.errors import UserError
from bench.evaluate.registry import parse_measure
from bench.files.weights import fingerprint
from bench.plan.inputs import Machine
from bench.plan.load import load_table
from bench.plan.runs import make_plan
from bench.report.build import build_report
from bench.report.results import load_results
from bench.run.build import build_context
from bench.run.execute import execute
from bench.run.reopen import reopen
from bench.run.settings import Settings
from bench.spec.run import Protocol, RunSpec, evaluation_run
from bench.store.checkpoints import read_weights
from bench.store.layout import kept
from bench.store.runs import Store

KEPT = (1, 4)


def keeping(run, *steps):
    """The run, asked to keep steps."""
    protocol = Protocol.model_validate({**run.protocol.model_dump(), "keep": steps})
    return RunSpec(**{**{name: getattr(run, name) for name in RunSpec.model_fields}, "protocol": protocol})


def work(store, spec, stop_after=None, outcome="done"):
    """Bring a run to its end, or to a stop after so many steps; gives its folder."""
    folder, at = store.open(spec), {"step": 0}
    stop = (lambda: at["step"] >= stop_after) if stop_after else lambda: False
    told = execute(spec.uid, store, Settings(torch.device("cpu")), stop, lambda step, _: at.update(step=step))
    assert told == outcome, folder.error()
    return folder


@pytest.fixture(scope="module")
def trained(tiny_spec, tmp_path_factory):
    """A store with a run of six steps, scored at 2, 4 and 6, that keeps two steps, and the run."""
    torch.set_num_threads(1)
    store, spec = Store(tmp_path_factory.mktemp("runs")), keeping(tiny_spec("disp(prior=random)", scored=True), *KEPT)
    work(store, spec)
    return store, spec


def rescore(run, snapshot):
    return evaluation_run(parse_measure({"measure": "rescore", "snapshot": snapshot}), run, run.protocol)


def test_what_is_not_asked_for_is_no_part_of_a_run(tiny_spec, trained):
    """Nor of an evaluation; the last step is the final snapshot, by whichever name."""
    plain = tiny_spec("disp(prior=random)", scored=True)
    assert "keep" not in plain.canonical() and keeping(plain).uid == plain.uid
    assert keeping(plain, 4, 1, 4).protocol.keep == KEPT and keeping(plain, 4).uid != plain.uid
    assert keeping(plain, 4, 1).uid == trained[1].uid
    task = rescore(trained[1], 4)
    assert task.protocol.keep is None and json.loads(task.canonical())["measure"]["settings"] == {"snapshot": 4}
    assert rescore(trained[1], 6).uid == rescore(trained[1], "final").uid != task.uid


def test_kept_weights_are_those_that_shorter_trainings_end_with(trained, tiny_spec, store_root):
    """And keeping them changes nothing: the run ends with the weights and scores of one that keeps none."""
    store, spec = trained
    folder, own = store.folder(spec.uid), Store(store_root)
    for step in KEPT:
        shorter = work(own, tiny_spec("disp(prior=random)", steps=step))
        state, end = read_weights(kept(folder.state, step)), read_weights(shorter.final_weights)
        assert set(end) - set(state) == {"generator"} and state["step"] == step
        assert all(fingerprint(state[name]) == fingerprint(end[name]) for name in ("ema", "discriminator", "method"))
    plain = work(own, tiny_spec("disp(prior=random)", scored=True))
    record = folder.result()
    assert set(record["kept_sha256"]) == {"1", "4"} and "kept_sha256" not in plain.result()
    assert record["weights_sha256"] == plain.result()["weights_sha256"]
    assert [line["value"] for line in folder.metrics()] == [line["value"] for line in plain.metrics()]
    assert sorted(path.name for path in folder.state.iterdir()) == [
        "best.pt", "final.pt", "kept-00000001.pt", "kept-00000004.pt",
    ]  # fmt: skip


def test_a_stopped_run_keeps_the_same_steps(trained, store_root):
    """Stopped before and between them; what was kept beyond the checkpoint that it goes back to is kept again."""
    store, spec = trained
    own = Store(store_root)
    for stop in (2, 5):
        folder = work(own, spec, stop_after=stop, outcome="stopped")
        assert [path.name for path in sorted(folder.state.glob("kept-*"))] == [
            f"kept-{step:08d}.pt" for step in KEPT if step <= stop
        ]
    kept(folder.state, 6).write_bytes(b"of a step that was lost")
    work(own, spec)
    assert folder.result()["kept_sha256"] == store.folder(spec.uid).result()["kept_sha256"]


def test_an_evaluation_of_a_kept_step_sees_what_was_scored_there(trained):
    store, spec = trained
    training = store.folder(spec.uid)
    evaluated = work(store, rescore(spec, 4))
    (line,) = evaluated.metrics()
    (scored,) = [one for one in training.metrics() if one["step"] == 4]
    assert (line["step"], line["value"], line["run_score"]) == (4, scored["value"], scored["value"])
    name = f"kept/{spec.uid}@4"
    assert evaluated.inputs()["read"][name] == training.result()["kept_sha256"]["4"]
    early = work(store, rescore(spec, 1))
    assert early.metrics()[0]["run_score"] is None and early.metrics()[0]["value"] != line["value"]
    # Other weights of that step alone make the one evaluation stale
    record = training.result()
    training.finish({**record, "kept_sha256": {**record["kept_sha256"], "4": "0" * 64}})
    assert Machine(store).changes(evaluated) == [f"a kept step of its source run {spec.uid}@4"]
    assert Machine(store).changes(early) == []
    training.finish(record)


def test_step_0_is_the_untrained_networks(trained):
    store, spec = trained
    untrained = reopen(store.folder(spec.uid), store, 0)
    ctx, _ = build_context(spec, store, torch.device("cpu"))
    for mine, fresh in ((untrained.generator, ctx.ema), (untrained.ctx.discriminator, ctx.discriminator)):
        assert fingerprint(mine.state_dict()) == fingerprint(fresh.state_dict())
    assert untrained.step == 0 and work(store, rescore(spec, 0)).metrics()[0]["step"] == 0
    assert not np.array_equal(untrained.all_images(4), reopen(store.folder(spec.uid), store, 1).all_images(4))


def test_a_step_that_is_not_there_or_damaged_is_refused(trained):
    store, spec = trained
    folder = store.folder(spec.uid)
    with pytest.raises(UserError, match=r"has not kept the weights of step 3 \(.*kept-00000003.pt\); kept: 1, 4"):
        reopen(folder, store, 3)
    whole = kept(folder.state, 4).read_bytes()
    kept(folder.state, 4).write_bytes(kept(folder.state, 1).read_bytes())
    with pytest.raises(UserError, match=r"kept-00000004.pt holds other weights than its run has recorded"):
        reopen(folder, store, 4)
    kept(folder.state, 4).write_bytes(whole)


TABLE = {
    "title": "Two snapshots of one training", "seeds": 1, "snapshot": "final", "metrics": ["fd"],
    "evaluate": {"measure": "rescore"},
    "rows": [
        {"id": "half", "label": "Half", "method": "unconditional", "evaluate": {"snapshot": 2}},
        {"id": "whole", "label": "Whole", "method": "unconditional", "evaluate": {"snapshot": 4}},
        {"id": "none", "label": "None", "method": "unconditional", "evaluate": {"snapshot": 0}},
    ],
    "columns": [{"id": "shapes", "label": "Shapes"}],
    "scales": {"smoke": {
        "network": {"name": "sngan-32", "options": {"g_width": 8, "d_width": 8, "z_dim": 16, "sn_generator": True}},
        "train": {"steps": 4, "batch": 4, "g_lr": 1e-3, "d_lr": 1e-3},
        "protocol": {
            "name": "tiny", "version": 1, "every": 4, "keep": [2],
            "metrics": [{"name": "fd", "extractor": "effnet_lite0@32"}],
        },
        "data": {"name": "shapes", "resolution": 32, "shots": 16}, "generated": 24, "reference": 24,
    }},
}  # fmt: skip


def test_a_table_of_snapshots_trains_once(tmp_path, bench_command, store_root):
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump(TABLE))
    done = bench_command("run", str(path), "--jobs", "1")
    assert done.returncode == 0 and "4 runs finished" in done.stdout, done.stdout + done.stderr
    report = " ".join(bench_command("report", str(path)).stdout.split())
    for words in ("half: evaluates runs trained for this table; measure rescore; step 2.", "untrained networks."):
        assert words in report, report
    table, store = load_table(str(path)), Store(store_root)
    assert {run.status for run in make_plan(table, "smoke", store).runs} == {"done"}
    (block, *_) = build_report(table, "smoke", load_results(table, "smoke", store)).blocks
    values = [block.cells[row.id, "shapes"].values for row in table.rows]
    assert len({value for (value,) in values}) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"keep": [3]},
            "rows.0.evaluate: cell half/shapes at scale smoke: snapshot: the run does not keep step 2, it keeps 3, 4 "
            "and 0; give protocol: {keep: [2]} where it is trained",
        ),
        ({"keep": [4]}, "protocol.keep: step 4 of 4 is the last, whose weights are always kept; leave it out"),
        ({"keep": [2, 9]}, "protocol.keep: step 9 of 4 is beyond the last; leave it out"),
        ({"keep": [0]}, "protocol.keep.0: Input should be greater than 0"),
        ({"snapshot": "last"}, "snapshot: must be best, final, or a step that the training keeps (0: the untrained"),
        ({"snapshot": True}, "snapshot: must be best, final, or a step that the training keeps (0: the untrained"),
        ({"snapshot": 9}, "snapshot: the run does not keep step 9, it keeps 2, 4 and 0"),
    ],
)
def test_what_cannot_be_kept_or_looked_at_is_refused_before_anything_trains(tmp_path, changes, message):
    value = yaml.safe_load(yaml.safe_dump(TABLE))
    if "keep" in changes:
        value["scales"]["smoke"]["protocol"]["keep"] = changes["keep"]
    else:
        value["rows"][0]["evaluate"] = changes
    (tmp_path / "two.yaml").write_text(yaml.safe_dump(value, sort_keys=False))
    with pytest.raises(UserError) as caught:
        load_table(str(tmp_path / "two.yaml"))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_shorter_training_keeps_the_steps_that_it_reaches():
    """Of sle/table2, that are 500 and 1,000 for sle/table5 at mini, and 15 at smoke: as many as there still are."""
    for steps, kept_mini in ((2000, (500, 1000)), (1000, (500,)), (500, None)):
        table = load_table("sle/table2", {"train.steps": steps})
        cells = {row.id: table.cell(row, table.columns[0], "mini") for row in table.rows if row.group == "fastgan"}
        assert {row: cell.protocol.keep for row, cell in cells.items()} == {
            "baseline": kept_mini, "ours": kept_mini, "skip": None, "decode": None,
        }  # fmt: skip
    with pytest.raises(UserError, match=r"--set train.steps=1000: .* the run does not keep step 20000, it keeps 1000"):
        load_table("sle/table5", {"train.steps": 1000})
    with pytest.raises(UserError, match=r"--set train.steps=9: step 12 of 9 is beyond the last; leave it out"):
        load_table("sle/table2", {"protocol.keep": [12], "train.steps": 9})
