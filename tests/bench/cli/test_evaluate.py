"""`bench evaluate`: a run's own pictures, put into a folder, get the run's own scores; what does not fit is refused."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
import yaml
from PIL import Image

from bench import features
from bench.cli.evaluated_column import table_of
from bench.cli.main import cli
from bench.data import imageset
from bench.errors import UserError
from bench.metrics import frechet_distance
from bench.metrics.scorers import make_scorer
from bench.metrics.scores import Score
from bench.plan.load import load_table
from bench.report.evaluation import Setting, evaluate_folder
from bench.report.floors import Floors
from bench.report.pick_column import pick_column
from bench.report.recorded import load_recorded
from bench.report.render import evaluation_text
from bench.run.execute import execute
from bench.run.settings import Settings
from bench.store.runs import Store

TABLE = """\
schema_version: 1
title: Tiny
seeds: 2
snapshot: final
metrics: [fd, recall]
references: [floor]
rows:
  - {id: plain, label: Plain, method: baseline}
columns:
  - {id: one, label: One}
  - {id: same, label: The same}
  - {id: other, label: Other}
scales:
  smoke:
    network: {name: sngan-32, options: {g_width: 8, d_width: 8, z_dim: 16, sn_generator: true}}
    train: {steps: 3, batch: 4, g_lr: 1.0e-3, d_lr: 1.0e-3}
    protocol:
      name: tiny
      version: 1
      every: 3
      batch: 7
      metrics:
        - {name: fd, extractor: effnet_lite0@32}
        - {name: recall, extractor: effnet_lite0@32, k: 9}
    columns:
      one: {data: {name: shapes, resolution: 32, shots: 16}, generated: 24, reference: 30}
      same: {data: {name: shapes, resolution: 32, shots: 8}, generated: 24, reference: 30}
      other: {data: {name: digits, resolution: 32, shots: 16}, generated: 24, reference: 30}
"""


@pytest.fixture
def table(tmp_path):
    """A table of one's own, by path."""
    path = tmp_path / "mine.yaml"
    path.write_text(TABLE)
    return path


def done(store, spec):
    """Execute a run in this process."""
    torch.set_num_threads(1)
    folder = store.open(spec)
    assert execute(spec.uid, store, Settings(torch.device("cpu")), lambda: False, lambda *_: None) == "done"
    return folder


def call(capsys, *words):
    cli.main(args=[str(word) for word in words], standalone_mode=False)
    return capsys.readouterr().out


def test_a_runs_own_pictures_get_its_own_scores_beside_the_floor(table, store_root, tmp_path, capsys):
    """Bit for bit, through PNGs, a table by path, and JSON; the floor is the mean of what the store has."""
    spec, store = load_table(str(table)), Store(store_root)
    folder = done(store, spec.run_spec(spec.rows[0], spec.columns[0], 0, "smoke"))
    floors = [done(store, spec.reference_spec("floor", spec.columns[0], seed, "smoke")) for seed in range(2)]
    call(capsys, "sample", folder.uid, "--count", 24, "--output", tmp_path / "made")
    words = (
        "evaluate",
        "--images",
        tmp_path / "made",
        "--table",
        table,
        "--dataset",
        "shapes",
        "--resolution",
        32,
    )
    made = json.loads(call(capsys, *words, "--method", "mine", "--json"))
    recorded = {line["metric"]: line for line in folder.metrics()}
    assert [one["metric"] for one in made["scores"]] == ["fd", "recall"]
    for one in made["scores"]:
        same = recorded[one["metric"]]
        assert one["value"] == same["value"]
        assert one["extractor_sha256"] == same["extractor_sha256"]
        assert one["reference_sha256"] == same["reference_sha256"]
        assert (one["n_generated"], one["n_reference"], one["fewer_than_protocol"]) == (24, 30, False)
        scores = [line["value"] for run in floors for line in run.metrics() if line["metric"] == one["metric"]]
        assert one["floor"] == {"value": pytest.approx(sum(scores) / 2), "seeds": 2, "origin": "runs"}
    assert made["method"] == "mine" and made["notes"] == ["left out: 1 .json"]
    told = call(capsys, *words, "--method", "mine").splitlines()
    assert told[0] == f"mine: {tmp_path / 'made'}"
    (line,) = [line for line in told if line.startswith("  FD(effnet_lite0@32) ")]
    assert "(24 generated, 30 reference)  floor " in line and line.endswith("(2 seeds, runs)")
    assert any(line.startswith("  recall(effnet_lite0@32), k = 9 ") for line in told)
    assert "FID" not in " ".join(told)
    again = call(capsys, "evaluate", "--run", folder.uid)
    assert again.count("  as recorded") == 2 and f"{folder.uid}, its final snapshot (step 3)" in again


def test_fewer_images_are_refused_or_said_in_every_line(table, store_root, tmp_path, capsys):
    spec = load_table(str(table))
    pool = make_pictures(tmp_path / "few", 9)
    words = ("evaluate", "--images", pool, "--table", table, "--column", "one")
    with pytest.raises(UserError, match="9 pictures found, the protocol generates 24; --allow-fewer"):
        call(capsys, *words)
    told = call(capsys, *words, "--allow-fewer")
    scored = [line for line in told.splitlines() if "generated," in line]
    assert len(scored) == 1 and all("only 9 of the protocol's 24 images" in line for line in scored)
    assert scored[0].endswith("images, biased upward")
    assert "recall(effnet_lite0@32) left out: it needs 10 images" in told
    # The floor is that of nine real images, as a table of these counts would have it
    fewer = table.with_name("fewer.yaml")
    fewer.write_text(TABLE.replace("generated: 24", "generated: 9").replace(", k: 9", ", k: 3"))
    nine = load_table(str(fewer))
    floor = done(Store(store_root), nine.reference_spec("floor", nine.columns[0], 0, "smoke"))
    value = next(line["value"] for line in floor.metrics() if line["metric"] == "fd")
    assert f"floor {value:.6g} (as many real images, made now)" in told
    made = evaluate_folder(Setting(spec, "smoke", spec.columns[0]), pool, Store(store_root), allow_fewer=True)
    assert [one["fewer_than_protocol"] for one in json.loads(evaluation_text.as_json(made))["scores"]] == [True]


def make_pictures(root, count):
    """Real pictures of the set, as a stranger would have them in a folder."""
    root.mkdir()
    for number, image in enumerate(imageset.load("shapes", 32).train[:count]):
        Image.fromarray(image).save(root / f"{number:03}.png")
    return root


def test_the_column_is_the_one_whose_set_it_is(table):
    spec = load_table(str(table))
    assert pick_column(spec, "smoke", "digits", 32, None).id == "other"
    assert pick_column(spec, "smoke", "shapes", None, None).id == "one", "two columns of one protocol"
    assert pick_column(spec, "smoke", None, None, "same").id == "same"
    with pytest.raises(UserError, match=r"no column of mine at scale smoke is 'shapes' at 64 px; it has one: shapes"):
        pick_column(spec, "smoke", "shapes", 64, None)
    with pytest.raises(UserError, match="is 'shape'; did you mean 'shapes'"):
        pick_column(spec, "smoke", "shape", None, None)
    with pytest.raises(UserError, match="several columns of mine at scale smoke fit"):
        pick_column(spec, "smoke", None, 32, None)
    with pytest.raises(UserError, match="no scale 'mini'"):
        pick_column(spec, "mini", "shapes", 32, None)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "name one thing to score: --images PATH, --checkpoint FILE or --run RUN"),
        (("--images", ".", "--run", "x"), "name one thing to score"),
        (("--checkpoint", "x", "--resize"), "--resize has no effect beside --checkpoint"),
        (("--images", ".", "--network", "sngan-32"), "--network has no effect beside --images"),
        (("--run", "x", "--as", "mine"), "--as has no effect beside --run under the run's own protocol"),
        (("--images", ".", "--column", "anime", "--root", "x"), "--root and --replace are of a recorded set"),
        (("--run", "x", "--dataset", "shapes"), "run 'x': not in "),
        (("--images", ".", "--snapshot", "best"), "--snapshot has no effect beside --images"),
        (("--images", ".", "--column", "anime"), "0 pictures found"),
    ],
)  # fmt: skip
def test_an_option_without_effect_is_refused(words, why, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=why):
        call(capsys, "evaluate", *words)


def test_a_column_whose_rows_have_the_images_scores_no_pictures(tmp_path):
    """The others of the table still do."""
    value = yaml.safe_load(TABLE)
    (scale,) = value["scales"].values()
    row = value["rows"][0]["id"]
    value["columns"].append({"id": "apart", "label": "Apart"})
    scale["cells"] = {f"{row}/apart": dict(scale["columns"]["one"], data={"name": "emoji", "resolution": 32})}
    value["references"] = []
    (tmp_path / "apart.yaml").write_text(yaml.safe_dump(value))
    table = load_table(str(tmp_path / "apart.yaml"))
    assert pick_column(table, "smoke", "digits", None, None).id == "other"
    with pytest.raises(UserError, match="apart at scale smoke: column apart has no data; give it in the scale or the"):
        pick_column(table, "smoke", None, None, "apart")


def test_a_recorded_floor_is_found_and_one_of_another_version_or_count_is_not(store_root):
    """The project's own set has floors of Table 1 at mini."""
    spec = load_table("table1")
    column = next(one for one in spec.columns if one.id == "faces")
    scored = spec.scored(column, "mini")
    data, protocol = scored.data, scored.protocol
    floors = Floors(data, protocol, Store(store_root))
    kept = load_recorded("cpu", "disp/table1", "mini")
    kept = kept[(kept["row"] == "floor") & (kept["column"] == "faces") & (kept["metric"] == "fd")]
    kept = kept[kept["extractor"] == "effnet_lite0@96"]
    (weights,), (reference,) = set(kept["extractor_sha256"]) - {""}, set(kept["reference_sha256"]) - {""}

    def score(generated=1000, version=1, reference=reference):
        return Score("fd", "effnet_lite0@96", 1.0, None, generated, 2000, 0.0, weights, reference, version)

    found = floors.of(score())
    assert found is not None and found.origin == "cpu" and 40 < found.value < 50
    assert found.seeds == len(kept) >= 3 and found.value == pytest.approx(kept["value"].mean(), rel=1e-12)
    assert floors.of(score(generated=999)) is None
    assert floors.of(score(version=99)) is None
    # Only floors from before digests were recorded can be taken for floors of any reference.
    other = floors.of(score(reference="another"))
    assert (0 if other is None else other.seeds) == (kept["reference_sha256"] == "").sum()


def test_a_floor_of_other_inputs_is_not_taken(table, store_root):
    spec, store = load_table(str(table)), Store(store_root)
    column = spec.columns[0]
    folder = done(store, spec.reference_spec("floor", column, 0, "smoke"))
    scored = spec.scored(column, "smoke")
    data, protocol = scored.data, scored.protocol
    scored = make_scorer(protocol, data, 0).score(imageset.load("shapes", 32).train[:24])
    assert Floors(data, protocol, store).of(scored[0]) is not None
    record = folder.inputs()
    name = next(name for name in record["read"] if "train.npy" in name)
    folder.write_inputs({**record, "read": {**record["read"], name: "0" * 64}})
    assert Floors(data, protocol, store).of(scored[0]) is None
    folder.write_inputs(record)
    shutil.rmtree(folder.path)
    assert Floors(data, protocol, store).of(scored[0]) is None


def test_a_data_set_that_no_column_has_is_one_by_its_name(table):
    def columns(**choice):
        given = {"table": str(table), "scale": "smoke", "column": None, "dataset": None, "protocol": None, **choice}
        return [one.id for one in table_of(given).columns if one.added]

    assert columns() == columns(dataset="shapes") == columns(column="one") == columns(dataset="no-such-set") == []
    assert columns(dataset="emoji") == columns(column="emoji") == ["emoji"]
    with pytest.raises(UserError, match="unknown column 'emojy' of mine; did you mean 'emoji'"):
        columns(column="emojy")


def test_a_reference_of_training_images_is_that_of_a_seed_and_named(table, store_root, tmp_path, capsys):
    text = TABLE.replace("      every: 3\n", "      every: 3\n      reference_split: training-images\n")
    table.write_text(text.replace("reference: 30", "reference: 8").replace(", k: 9", ", k: 3"))
    spec, store = load_table(str(table)), Store(store_root)
    folder = done(store, spec.run_spec(spec.rows[0], spec.columns[0], 1, "smoke"))
    done(store, spec.reference_spec("floor", spec.columns[0], 1, "smoke"))
    call(capsys, "sample", folder.uid, "--count", 24, "--output", tmp_path / "made")
    words = ("evaluate", "--images", tmp_path / "made", "--table", table)
    with pytest.raises(UserError, match="several columns of mine at scale smoke fit"):  # their draws differ
        call(capsys, *words, "--dataset", "shapes")
    recorded = {line["metric"]: line["value"] for line in folder.metrics()}
    told = call(capsys, *words, "--column", "one", "--seed", 1)
    assert "  the reference is that of seed 1" in told.splitlines()
    assert "reference: 8 images, the run's own training images, digest " in told
    assert "shapes, 32 px, 16 shots" in told
    (line,) = [
        line for line in told.splitlines() if line.startswith("  FD(effnet_lite0@32) against the training images ")
    ]
    assert f" {recorded['fd']:.6g} " in line and "floor " in line and line.endswith("(1 seed, runs)")
    of = {
        seed: json.loads(call(capsys, *words, "--column", "one", "--seed", seed, "--json"))["scores"][0]
        for seed in (0, 1)
    }
    assert of[1]["value"] == recorded["fd"] != of[0]["value"] and of[0]["floor"] is None
    assert of[1]["reference_split"] == "training-images"
    assert call(capsys, "evaluate", "--run", folder.uid).count("  as recorded") == 2
    table.write_text(TABLE)
    with pytest.raises(UserError, match="--seed has no effect beside column one, whose reference is the same"):
        call(capsys, *words, "--column", "one", "--seed", 1)


def test_two_folders_are_compared_without_a_data_set(table, tmp_path, capsys):
    """Against itself a folder is at distance 0; the values are those of the extractor on the two, whole."""
    one, other = make_pictures(tmp_path / "one", 20), tmp_path / "other"
    other.mkdir()
    for number, image in enumerate(imageset.load("digits", 32).train[:15]):
        Image.fromarray(image).save(other / f"{number:03}.bmp")
    words = ("evaluate", "--images", one, "--table", table, "--measures", "fd,kid:effnet_lite0@32", "--json")
    same = json.loads(call(capsys, *words, "--against", one))
    assert same["scores"][0]["value"] == pytest.approx(0, abs=1e-3)
    apart = json.loads(call(capsys, *words, "--against", other))
    extract = features.load("effnet_lite0@32")
    made, real = (extract(imageset.load(name, 32).train[:count]) for name, count in (("shapes", 20), ("digits", 15)))
    assert apart["scores"][0]["value"] == pytest.approx(frechet_distance(real, made), rel=1e-5)
    assert [(score["metric"], score["n_generated"], score["n_reference"]) for score in apart["scores"]] == [
        ("fd", 20, 15),
        ("kid", 20, 15),
    ]
    assert apart["dataset"] is None and apart["reference"] == str(other) and apart["generated_by_protocol"] is None
    told = call(capsys, *words[:-1], "--against", other)
    assert f"reference: 15 images of {other}" in told and "only" not in told
    (other / "odd.png").write_bytes((one / "000.png").read_bytes())
    Image.fromarray(imageset.load("shapes", 64).train[0]).save(other / "odd.png")
    with pytest.raises(UserError, match="1 of 16 pictures are not 32 x 32 pixels .*; --resize makes them so"):
        call(capsys, *words, "--against", other)
    with pytest.raises(UserError, match="--dataset has no effect beside --against"):
        call(capsys, *words, "--against", one, "--dataset", "shapes")


def test_measures_picks_scores_and_refuses_what_needs_a_run(table, tmp_path, capsys):
    pool = make_pictures(tmp_path / "made", 24)
    words = ("evaluate", "--images", pool, "--table", table, "--column", "one", "--measures")
    told = json.loads(call(capsys, *words, "recall,precision:effnet_lite0@32:4", "--json"))["scores"]
    assert [(score["metric"], score["k"]) for score in told] == [("recall", 9), ("precision", 4)]
    for text, why in (
        ("rescore", "'rescore' is a measure of finished runs, which needs more than images"),
        ("fdd", "unknown score 'fdd'; did you mean 'fd'"),
        ("fd:effnet_lite0@32:x", "must be NAME, NAME:EXTRACTOR or NAME:EXTRACTOR:K"),
        ("fd:effnet_lite0@32:3", "metric 'fd' has no k"),
        ("fd,fd:effnet_lite0@32", "fd on effnet_lite0@32 is named twice"),
        ("fd:vgg17", "unknown extractor 'vgg17'"),
    ):
        with pytest.raises(UserError, match=why):
            call(capsys, *words, text)


def test_a_protocol_is_found_by_its_name(table, tmp_path, capsys):
    pool = make_pictures(tmp_path / "made", 3)
    words = ("evaluate", "--images", pool, "--dataset", "shapes")
    with pytest.raises(UserError, match="3 pictures found, the protocol generates 24"):
        call(capsys, *words, "--table", table, "--protocol", "tiny")
    with pytest.raises(UserError, match="no column of mine at scale smoke is 'shapes' under protocol 'tinny'"):
        call(capsys, *words, "--table", table, "--protocol", "tinny")
    with pytest.raises(UserError, match="no table scores under a protocol 'disp-few-shott'.*did you mean"):
        call(capsys, *words, "--protocol", "disp-few-shott")
