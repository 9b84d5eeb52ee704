"""Traces, measures of every snapshot of a training: D's scores, what they leave alone, and their curves."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import yaml

from bench import networks
from bench.data import imageset
from bench.data.draws import held_out_images, training_images
from bench.errors import UserError
from bench.evaluate.cards.d_scores import MOST
from bench.evaluate.d_scores import d_scores
from bench.evaluate.registry import is_known, output_card, parse_measure
from bench.evaluate.snapshot import AtSnapshot
from bench.evaluate.traces import trace, traced
from bench.plan.load import load_table
from bench.report.build import build_report
from bench.report.figures.trace_curves import trace_curves
from bench.report.pictures import pictures
from bench.report.results import load_results
from bench.run.build import build_context
from bench.run.execute import execute
from bench.run.reopen import reopen
from bench.run.settings import Settings
from bench.spec.run import DataSpec, RunSpec, evaluation_run
from bench.store.runs import Store

NAMES = ("d_train", "d_test", "d_generated")


def with_trace(run):
    protocol = run.protocol.model_copy(update={"traces": ("d-scores",)})
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
    """A store with a run of 30 steps that has the trace at 10, 20 and 30, and the run."""
    torch.set_num_threads(1)
    store = Store(tmp_path_factory.mktemp("runs"))
    spec = with_trace(tiny_spec("disp(prior=random)", steps=30, scored=True))
    work(store, spec)
    return store, spec


def of_trace(folder, step=None):
    return {
        line["metric"]: line for line in folder.metrics() if line["metric"] in NAMES and step in (None, line["step"])
    }


@pytest.mark.parametrize("name", ["sngan-32", "fastgan-64", "stylegan2-32"])
def test_the_score_is_that_of_the_linear_head_alone(name):
    """D(x, y) less the inner product with the condition, image by image; nothing of D changes, whatever its modes."""
    options = {"stylegan2-32": {"channel_max": 16, "w_dim": 16, "z_dim": 16}, "sngan-32": {"d_width": 8, "g_width": 8}}
    small = options.get(name, {"ngf": 8, "ndf": 8, "z_dim": 16})
    _, discriminator = networks.build(name, seed=3, condition_dim=5, **small)
    discriminator.train()
    next(iter(discriminator.children())).eval()  # as a frozen block is
    images = imageset.load("shapes", 64 if name == "fastgan-64" else 32).train[:8]
    state = copy.deepcopy(discriminator.state_dict())
    modes = [module.training for module in discriminator.modules()]
    found = d_scores(discriminator, images, 4)
    assert found.shape == (8,) and found.dtype == np.float64
    assert [module.training for module in discriminator.modules()] == modes
    assert all(torch.equal(value, state[key]) for key, value in discriminator.state_dict().items())
    # The same by hand, a batch as large, since StyleGAN2's D compares the images of one
    still = copy.deepcopy(discriminator).eval()
    x_NCHW = torch.from_numpy(images).permute(0, 3, 1, 2).double() / 127.5 - 1
    condition_NK = torch.randn(8, 5, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        by_hand = []
        for part, y in zip(x_NCHW.float().split(4), condition_NK.split(4)):
            whole = still(part, y)
            whole = whole.mean(1) if whole.ndim == 2 else whole
            by_hand.append(whole - (still.condition_embedding(y) * still.features(part)).sum(1))
    # float32 sums of up to some hundred products, subtracted from each other
    assert found == pytest.approx(torch.cat(by_hand).double().numpy(), abs=2e-4)
    if name != "stylegan2-32":
        assert d_scores(discriminator, images, 3) == pytest.approx(found, abs=1e-5), "whatever the batch"


@pytest.mark.slow
def test_a_trace_changes_nothing_of_its_training(trained, tiny_spec, store_root):
    store, spec = trained
    plain = tiny_spec("disp(prior=random)", steps=30, scored=True)
    assert "traces" not in plain.canonical() and spec.uid != plain.uid
    own, folder = work(Store(store_root), plain), store.folder(spec.uid)
    for key in ("weights_sha256", "best_sha256"):
        assert own.result()[key] == folder.result()[key]
    values = [(line["step"], line["value"]) for line in folder.metrics() if line["metric"] == "fd"]
    assert values == [(line["step"], line["value"]) for line in own.metrics()]
    rescored = evaluation_run(parse_measure({"measure": "rescore"}), spec, spec.protocol)
    assert rescored.protocol.traces is None and len(work(store, rescored).metrics()) == 1


def test_what_is_recorded_is_what_the_weights_give(trained):
    """At the end, from the run opened again: means and standard errors of each kind of image."""
    store, spec = trained
    folder = store.folder(spec.uid)
    assert [line["step"] for line in folder.metrics() if line["metric"] == "d_test"] == [10, 20, 30]
    again, lines = reopen(folder, store, "final"), of_trace(folder, 30)
    kinds = {
        "d_train": training_images(spec.data, 0).images, "d_test": imageset.load("shapes", 32).test,
        "d_generated": again.all_images(24),
    }  # fmt: skip
    for name, images in kinds.items():
        scores = d_scores(again.ctx.discriminator, images, spec.protocol.batch)
        assert lines[name]["value"] == scores.mean() and len(scores) <= MOST
        assert lines[name]["error"] == pytest.approx(scores.std(ddof=1) / len(scores) ** 0.5)
        counts = lines[name]["n_generated"], lines[name]["n_reference"]
        assert counts == ((24, 0) if name == "d_generated" else (0, len(images)))
        assert (lines[name]["extractor"], lines[name]["version"]) == ("", 1)
    assert lines["d_train"]["value"] > lines["d_generated"]["value"] + 3 * lines["d_generated"]["error"]


def test_a_resumed_training_records_the_same(trained, store_root):
    store, spec = trained
    work(Store(store_root), spec, stop_after=15, outcome="stopped")
    folder = work(Store(store_root), spec)
    keys = ("step", "metric", "value", "error")
    lines = [[{key: line[key] for key in keys} for line in one.metrics()] for one in (folder, store.folder(spec.uid))]
    assert lines[0] == lines[1]


def test_a_holdout_is_what_is_held_out(tiny_spec, store_root):
    data = DataSpec(name="shapes", resolution=32, shots=16, holdout=0.1)
    run = tiny_spec(data=data)
    ctx, _ = build_context(run, Store(store_root), torch.device("cpu"))
    assert np.array_equal(AtSnapshot(ctx, 4).held_out, held_out_images(data, 0))


WRAPS = '''
from torch import nn
from bench.train import Method


class Own(nn.Module):
    """A discriminator of its own."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, images_NCHW, condition_NK=None):
        return self.inner(images_NCHW, condition_NK)


class Wraps(Method):
    """It puts another discriminator in place."""

    def discriminator(self, ctx, discriminator):
        return Own(discriminator)
'''


def test_a_discriminator_without_such_a_score_fails_before_its_first_step(tiny_spec, store_root, load_plugin):
    load_plugin(WRAPS)
    folder = work(Store(store_root), with_trace(tiny_spec("wraps", scored=True)), outcome="failed")
    assert "a Own in the discriminator's place has no score without condition" in folder.error()
    assert not folder.train_log.exists() and folder.metrics() == []


ONE_MORE = """
from bench.evaluate.card import Value
from bench.evaluate.traces import Trace
from bench.metrics.output import Output

TRACES = [
    Trace(
        name="spread", summary="how images spread",
        compute=lambda seen: [Value("NAME", float(seen.images_NHWC.std()), n_generated=len(seen.images_NHWC))],
        outputs=(Output(name="pixel_spread", summary="sd", title="sd of pixels", short="sd", better="none"),),
    )
]
"""
TABLE = {
    "title": "What D makes of images", "seeds": 2, "snapshot": "final", "metrics": ["fd", *NAMES],
    "rows": [
        {"id": "plain", "label": "Plain", "method": "unconditional"},
        {"id": "disp", "label": "DISP", "method": "disp(prior=random)"},
    ],
    "columns": [{"id": "shapes", "label": "Shapes"}],
    "references": ["floor"],
    "scales": {"mini": {
        "network": {"name": "sngan-32", "options": {"g_width": 8, "d_width": 8, "z_dim": 16, "sn_generator": True}},
        "train": {"steps": 4, "batch": 4, "g_lr": 1e-3, "d_lr": 1e-3},
        "protocol": {
            "name": "tiny", "version": 1, "every": 2, "traces": ["d-scores"],
            "metrics": [{"name": "fd", "extractor": "effnet_lite0@32"}],
        },
        "data": {"name": "shapes", "resolution": 32, "shots": 16}, "generated": 24, "reference": 24,
    }},
    "claims": [{
        "id": "gap", "text": "DISP has the smaller gap.", "columns": ["shapes"], "snapshot": "final",
        "order": [
            {"minus": [{"row": row, "metric": "d_train"}, {"row": row, "metric": "d_test"}]}
            for row in ("disp", "plain")
        ],
    }],
}  # fmt: skip


def written(folder, **protocol):
    value = yaml.safe_load(yaml.safe_dump(TABLE))
    value["scales"]["mini"]["protocol"] |= protocol
    (folder / "own.yaml").write_text(yaml.safe_dump(value, sort_keys=False))
    return str(folder / "own.yaml")


@pytest.mark.slow
def test_they_are_reported_and_drawn_a_line_for_each_kind(tmp_path, bench_command, store_root):
    path, here = written(tmp_path), ["--scale", "mini"]
    done = bench_command("run", path, *here, "--jobs", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    done = bench_command("report", path, *here, "--output", str(tmp_path / "out"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.suffix for path in (tmp_path / "out").glob("own-mini.d-scores.*")} == {".png", ".svg"}
    table, store = load_table(path), Store(store_root)
    report = build_report(table, "mini", load_results(table, "mini", store))
    block = next(one for one in report.blocks if one.metric == "d_train" and one.rule == "final")
    assert block.title.startswith("D(training), neither way is better")
    assert len(block.cells["disp", "shapes"].values) == 2 and block.cells["floor", "shapes"].total == 0
    (claim,) = report.claims
    assert len(claim.comparisons) == 1 and "minus" not in claim.reason
    figure = trace_curves(report, trace("d-scores"))
    titles = {panel.get_title(): panel for panel in figure.axes}
    assert set(titles) == {"Plain · Shapes", "DISP · Shapes"}
    labels = [line.get_label() for line in titles["DISP · Shapes"].lines if not line.get_label().startswith("_")]
    assert labels == ["D(training)", "D(held-out)", "D(generated)"]
    (mean,) = [line for line in titles["DISP · Shapes"].lines if line.get_label() == "D(training)"]
    values = report.results.query("row == 'disp' and metric == 'd_train'").groupby("step")["value"].mean()
    assert mean.get_ydata() == pytest.approx(values.to_numpy()) and list(mean.get_xdata()) == [2, 4]
    assert any(picture.caption.startswith("D's mean score") for picture in pictures(report))


def test_a_trace_of_ones_own(tmp_path, load_plugin, tiny_spec, store_root):
    load_plugin(ONE_MORE.replace("NAME", "pixel_spread"))
    table = load_table(written(tmp_path, traces=["d-scores", "spread"]))
    assert [one.name for one in traced(table.scored(table.columns[0], "mini").protocol)] == [*NAMES, "pixel_spread"]
    assert is_known("pixel_spread") and output_card("pixel_spread").title == "sd of pixels"
    run = tiny_spec(scored=True)
    run = RunSpec(**{**vars(run), "protocol": run.protocol.model_copy(update={"traces": ("spread",)})})
    folder = work(Store(store_root), run)
    assert [line["metric"] for line in folder.metrics() if line["step"] == 6] == ["fd", "pixel_spread"]
    assert len(folder.inputs()["read"]["trace/spread"]) == 16


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("TRACES = [3]", r"TRACES must be a list of bench.evaluate.traces.Trace cards, not \[3\]"),
        (ONE_MORE.replace("pixel_spread", "fd"), "trace 'spread': its output 'fd' is there already; rename it"),
    ],
)
def test_an_impossible_trace_is_refused(load_plugin, text, message):
    with pytest.raises(UserError, match=message):
        load_plugin(text)


def test_mistakes_are_one_line(tmp_path, tiny_spec, store_root, load_plugin):
    with pytest.raises(UserError, match=r"protocol.traces.0: unknown trace 'd-score'; did you mean 'd-scores'\?"):
        load_table(written(tmp_path, traces=["d-score"]))
    load_plugin(ONE_MORE)
    run = tiny_spec(scored=True)
    run = RunSpec(**{**vars(run), "protocol": run.protocol.model_copy(update={"traces": ("spread",)})})
    folder = work(Store(store_root), run, outcome="failed")
    assert "trace 'spread' gives NAME, and its card says otherwise" in folder.error()


def test_the_figure_of_the_papers_has_them():
    """disp/fig1 and its twin: D's scores at every snapshot, at every scale, and nothing else that differs."""
    for name in ("disp/fig1", "dip/fig2"):
        table, other = load_table(name), load_table("disp/table3")
        for scale in table.scales:
            for row, theirs in (("baseline", "biggan"), ("disp", "biggan+disp")):
                (mine,), (place,) = table.pick_rows([row]), table.pick_columns(["c100-10"])
                spec = table.run_spec(mine, place, 0, scale)
                assert spec.protocol.traces == ("d-scores",)
                plain = spec.protocol.model_copy(update={"traces": None})
                (row_there,), (there,) = other.pick_rows([theirs]), other.pick_columns(["c100-10"])
                same = other.run_spec(row_there, there, 0, scale)
                # At most scales disp/table3 records them itself, so that one training serves both
                wanted = spec if same.protocol.traces else spec.model_copy(update={"protocol": plain})
                assert wanted.canonical() == same.canonical()
