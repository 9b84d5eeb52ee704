"""A finished run opened again: its images are the scored ones, as pictures, as a score, and from its exported file."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import bench.run.export as exporting
import bench.run.training as running
from bench.cli.main import cli
from bench.conformance.same import same
from bench.errors import UserError
from bench.networks.common.pixels import to_uint8
from bench.report import evaluation
from bench.report.cells import per_seed
from bench.report.evaluation import evaluate_run
from bench.run.checkpoint import open_checkpoint
from bench.run.export import exported
from bench.run.reopen import reopen
from bench.run.settings import Settings
from bench.run.training import Training
from bench.spec.run import DataSpec, MetricSpec, NetworkSpec, reference_run
from bench.store.runs import Store
from evaluated import copied, finished

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "evaluate.md").read_text()


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A store whose runs the tests get copies of."""
    return Store(tmp_path_factory.mktemp("kept"))


@pytest.fixture
def train(store_root, tiny_spec, kept):
    """A tiny run that is trained, with what it starts from, in this test's store; gives its folder.

    network: not its own. anew: no copy of a training for an earlier test.
    """
    torch.set_num_threads(1)
    store = Store(store_root)

    def tiny(*given, network=None, anew=False, **more):
        spec = tiny_spec(*given, **more)
        spec = spec if network is None else spec.model_copy(update={"network": network})
        return finished(store, spec) if anew else copied(kept, store, spec)

    return tiny


def call(*words):
    cli.main(args=[str(word) for word in words], standalone_mode=False)


def pictures(folder):
    return np.stack([np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))])


@pytest.mark.slow
@pytest.mark.parametrize("method", ["baseline", "disp(prior=random)", "self-cond(clusters=3)", "glann(prior=random)"])
def test_a_run_scores_again_as_it_was_recorded(train, method, store_root):
    """Bit for bit, at the final and at the best snapshot, whatever its sampler keeps in the method's state."""
    folder = train(method, scored=True)
    recorded = {line["step"]: line["value"] for line in folder.metrics()}
    store = Store(store_root)
    for snapshot in ("final", "best"):
        run = reopen(folder, store, snapshot)
        made = evaluate_run(run, store)
        (line,) = made.lines
        assert run.step == (6 if snapshot == "final" else min(recorded, key=recorded.get))
        assert line.score.value == recorded[run.step] == line.recorded
        assert (line.label, line.score.n_generated) == ("FD(effnet_lite0@32)", 24)


def test_a_run_is_scored_again_with_its_own_number_of_threads(train, store_root, monkeypatch):
    folder, seen = train("baseline", scored=True), []
    folder.add_provenance({"threads": 3})
    made = evaluation.make_scorer

    def watched(*arguments, **more):
        seen.append(torch.get_num_threads())
        return made(*arguments, **more)

    monkeypatch.setattr(evaluation, "make_scorer", watched)
    evaluate_run(reopen(folder, Store(store_root), "final"), Store(store_root))
    assert seen == [3] and torch.get_num_threads() == 1


@pytest.mark.parametrize("order", [("effnet_lite0@32", "alexnet@63"), ("alexnet@63", "effnet_lite0@32")])
def test_the_best_snapshot_is_whole(order, store_root, tiny_spec):
    """G's average, D, the method's state and the step, as they were when it was scored: by the first of two extractors,
    in training and in the report alike.
    """
    torch.set_num_threads(1)
    spec, store = tiny_spec("ada-lite + baseline", steps=8, scored=True), Store(store_root)
    metrics = tuple(MetricSpec(name="fd", extractor=extractor) for extractor in order)
    protocol = spec.protocol.model_copy(update={"metrics": metrics, "every": 2})
    spec, states = spec.model_copy(update={"protocol": protocol}), {}
    folder = store.open(spec)
    with folder.lease():
        folder.begin({})
        training = Training(spec, folder, store, Settings(torch.device("cpu")))
        keep = lambda step, _: states.update({step: copy.deepcopy(training.weights())})  # noqa: E731
        assert training.run(lambda: False, keep) == "done"

    scores = {line["step"]: line["value"] for line in folder.metrics() if line["extractor"] == order[0]}
    best = min(scores, key=scores.get)
    frame = pd.DataFrame(folder.metrics()).assign(kind="train", row="r", column="c", seed=0, status="done")
    assert set(per_seed(frame, "best", protocol)["step"]) == {best}
    run = reopen(folder, store, "best")
    assert run.step == run.ctx.step == best
    reopened = {
        "ema": run.generator.state_dict(),
        "discriminator": run.ctx.discriminator.state_dict(),
        "method": run.method.state_dict(),
    }
    assert same(run.ctx.generator.state_dict(), states[best]["ema"]), "an untrained G is nobody's"
    for name, state in reopened.items():
        assert same(state, states[best][name]), name
        assert not any(same(state, states[other][name]) for other in states if other != best), name


@pytest.mark.parametrize(
    ("name", "options", "train_settings"),
    [
        ("stylegan2-32", {"w_dim": 8, "channel_base": 64, "channel_max": 8, "mapping_layers": 2}, {}),
        ("fastgan-64", {"ngf": 4, "ndf": 4, "decoder_width": 4}, {"batch_statistics": 5}),
    ],
)
def test_networks_that_draw_noise_or_look_at_whole_batches(train, store_root, name, options, train_settings):
    """The same again, for a network with noise of its own, and for one whose batches are not the protocol's."""
    data = DataSpec(name="shapes", resolution=int(name[-2:]), shots=16)
    network = NetworkSpec(name=name, options={"z_dim": 8, **options})
    folder = train("diffaugment", scored=True, network=network, data=data, **train_settings)
    run = reopen(folder, Store(store_root), "final")
    (line,) = evaluate_run(run, Store(store_root)).lines
    assert line.score.value == line.recorded
    few, more = (np.concatenate(list(run.images(count))) for count in (7, 31))
    assert np.array_equal(few, run.all_images(24)[:7]) and np.array_equal(few, more[:7]) and len(more) == 31
    file = exported(run)
    assert file["conditions"] is None and file["batch_statistics"] == train_settings.get("batch_statistics")


@pytest.mark.slow
def test_sampled_pictures_are_the_first_scored_ones(train, store_root, tmp_path, monkeypatch):
    """Whatever their number: fewer than a batch, more than were scored; and their seed alone tells further ones."""
    scored, make = [], running.make_scorer

    class Listening:
        def __init__(self, *given):
            self.scorer = make(*given)

        def score(self, images):
            scored.append(images.copy())
            return self.scorer.score(images)

    monkeypatch.setattr(running, "make_scorer", Listening)
    folder = train("disp(prior=random)", scored=True, anew=True)
    for count in (1, 7, 24, 130):
        call("sample", folder.uid[-12:], "--count", count, "--output", tmp_path / f"{count}")
    assert len(pictures(tmp_path / "1")) == 1
    assert np.array_equal(pictures(tmp_path / "7"), scored[-1][:7])
    assert np.array_equal(pictures(tmp_path / "24"), scored[-1])
    more = pictures(tmp_path / "130")
    assert np.array_equal(more[:24], scored[-1]) and len(np.unique(more, axis=0)) == 130
    call("sample", folder.uid, "--count", 7, "--seed", 5, "--output", tmp_path / "other")
    assert not (pictures(tmp_path / "other") == scored[-1][:7]).all(axis=(1, 2, 3)).any()
    record = json.loads((tmp_path / "other" / "samples.json").read_text())
    assert record == {"uid": folder.uid, "snapshot": "final", "step": 6, "seed": 5, "count": 7}
    call("sample", folder.uid, "--count", 9, "--grid", "--output", tmp_path / "grid")
    (grid,) = (tmp_path / "grid").glob("*.png")
    sheet = np.asarray(Image.open(grid))
    assert np.array_equal(sheet[2:34, 2:34], scored[-1][0]) and np.array_equal(sheet[36:68, 2:34], scored[-1][3])


def test_what_cannot_be_sampled_says_why(train, store_root, tiny_spec, tmp_path, monkeypatch):
    folder, out = train(scored=True), tmp_path / "out"
    store = Store(store_root)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine.txt").write_text("kept")
    with pytest.raises(UserError, match="taken: exists and is not empty"):
        call("sample", folder.uid, "--output", taken)
    spec = folder.spec()
    point = store.open(reference_run("floor", spec.data, spec.protocol, 0))
    with pytest.raises(UserError, match="a reference point: it has no generator"):
        call("sample", point.uid, "--output", out)
    unfinished = store.open(tiny_spec(seed=3))
    with pytest.raises(UserError, match="is planned and has no checkpoint yet"):
        call("sample", unfinished.uid, "--output", out)
    with pytest.raises(UserError, match=r"is not finished \(planned\)"):
        call("export", unfinished.uid, "--output", out)
    (folder.state / "best.pt").unlink()
    with pytest.raises(UserError, match="no weights of its best snapshot .*--snapshot final"):
        call("sample", folder.uid, "--snapshot", "best", "--output", out)
    record = folder.inputs()
    name = next(name for name in record["read"] if name.startswith("data/") and "train.npy" in name)
    folder.write_inputs({**record, "read": {**record["read"], name: "0" * 64}})
    with pytest.raises(UserError, match=r"is stale, .*train images.*--allow-stale"):
        call("sample", folder.uid, "--output", out)
    assert not out.exists()
    call("sample", folder.uid, "--count", 2, "--allow-stale", "--output", out)
    assert len(pictures(out)) == 2
    other = train(seed=1, scored=True)
    other.final_weights.replace(folder.final_weights)
    folder.write_inputs(record)
    with pytest.raises(UserError, match="other weights than its run has recorded"):
        reopen(folder, store, "final")
    with pytest.raises(UserError, match="has no weights of its final snapshot"):
        reopen(other, store, "final")


def test_a_diverged_run_gives_no_final_images(train, store_root):
    folder = train(scored=True)
    folder.finish({**folder.result(), "diverged_at": 6})
    with pytest.raises(UserError, match="diverged at step 6; --snapshot best"):
        reopen(folder, Store(store_root), "final")
    assert reopen(folder, Store(store_root), "best").snapshot == "best"


@pytest.mark.parametrize("method", ["baseline", "disp(prior=random)", "class-conditional"])
def test_an_exported_file_makes_the_runs_images_by_the_pages_lines(train, store_root, tmp_path, method, monkeypatch):
    folder = train(method, scored=True)
    call("export", folder.uid, "--output", tmp_path / "generator.pt")
    (lines,) = [block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "generator.pt" in block]
    monkeypatch.chdir(tmp_path)
    space = {}
    exec(compile(lines, "docs/evaluate.md", "exec"), space)
    first = np.concatenate(list(reopen(folder, Store(store_root), "final").images(16)))
    made = to_uint8(space["images"])
    assert made.shape == first.shape and np.abs(made.astype(int) - first).max() <= 1
    file = space["file"]
    assert file["normal"] and len(file["latents"]) == len(file["conditions"]) == 24
    assert file["provenance"]["uid"] == folder.uid and file["provenance"]["step"] == 6
    assert set(file["provenance"]["inputs"]) == set(folder.inputs()["read"])
    with pytest.raises(UserError, match="exists; add --force"):
        call("export", folder.uid, "--output", tmp_path / "generator.pt")


BARE = """
import sys

class Absent:
    def find_spec(self, name, *rest):
        if name.partition(".")[0] == "bench":
            raise ImportError("this project is not here")

sys.meta_path.insert(0, Absent())
sys.path += [{site!r}, {here!r}]
import torch
{lines}
torch.save(pictures, "pictures.pt")
"""


@pytest.mark.parametrize("form", ["safetensors", "torch"])
def test_an_export_makes_the_runs_images_where_there_is_torch_alone(train, store_root, tmp_path, form, monkeypatch):
    """By the page's lines, in a fresh interpreter without this project, from either file."""
    folder = train("class-conditional", scored=True)
    name = {"safetensors": "generator.safetensors", "torch": "generator.pt"}[form]
    call("export", folder.uid, "--to", form, "--output", tmp_path / name)
    (lines,) = [block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "load_generator" in block]
    lines = lines.replace("generator.safetensors", name)
    lines = lines.replace('tensors["latents"][:16])', 'tensors["latents"][:16], tensors["conditions"][:16])')
    site = str(Path(torch.__file__).parents[1])
    script = BARE.format(site=site, here=str(tmp_path), lines=lines)
    subprocess.run([sys.executable, "-I", "-S", "-c", script], cwd=tmp_path, check=True)
    made = to_uint8(torch.load(tmp_path / "pictures.pt"))
    run = reopen(folder, Store(store_root), "final")
    first = np.concatenate(list(run.images(16)))
    assert made.shape == first.shape and np.abs(made.astype(int) - first).max() <= 1
    again = open_checkpoint(str(tmp_path / name))
    assert again.draws.generator.resolution == 32 and again.notes == ("conditions drawn from the 24 of the export",)
    (tmp_path / "load_generator.py").write_text("# mine")
    for output, more, why in (
        ("other.pt", (), "load_generator.py exists and is another; add --force"),
        ("x.pt", ("--to", "safetensors"), "a file for safetensors is called x.safetensors"),
        ("x.safetensors", ("--to", "torch"), "a file for torch is called x.pt"),
    ):
        with pytest.raises(UserError, match=why):
            call("export", folder.uid, "--output", tmp_path / output, *more)
        assert not (tmp_path / output).exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "why"),
    [
        ("glann(prior=random)", "does not make images from latents and conditions alone"),
        ("disp(prior=random, sampling=gmm-2)", "does not make images from latents and conditions alone"),
        (
            "minegan(classes=false, condition=keep, mining_share=0.5) + class-conditional",
            "changes the layers of the generator",
        ),
        ("bsa", "changes the layers of the generator"),
    ],
)
def test_what_a_file_alone_cannot_make_is_refused(train, store_root, tmp_path, method, why):
    folder = train(method, scored=True)
    with pytest.raises(UserError, match=why):
        call("export", folder.uid, "--output", tmp_path / "x.pt")
    assert not (tmp_path / "x.pt").exists()


HALF = '''
"""Half: images at half the latents, without a condition."""
from bench.train import Method

class Half(Method):
    """z / 2."""

    def sampler(self, ctx):
        return lambda generator, z_NZ, stream: generator(z_NZ / 2)
'''


def test_latents_that_the_method_changes_are_exported_as_the_network_gets_them(train, store_root, load_plugin):
    load_plugin(HALF)
    file = exported(reopen(train("half", scored=True), Store(store_root), "final"))
    assert not file["normal"] and file["conditions"] is None and file["condition"] == "nothing"
    assert 0.4 < float(file["latents"].std()) < 0.6


def test_an_export_is_checked_against_the_runs_own_images(train, store_root, monkeypatch):
    """Weights that another network takes too, but which then makes other images."""
    folder = train(scored=True)
    run = reopen(folder, Store(store_root), "final")
    assert exported(run)["condition"].startswith("vectors of 16 numbers")
    monkeypatch.setattr(
        exporting, "to_uint8", lambda images_NCHW: to_uint8(-images_NCHW)
    )  # as if the rebuilt network had another last layer
    with pytest.raises(UserError, match="with its weights makes other images"):
        exported(run)
