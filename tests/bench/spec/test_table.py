"""RunSpecs: identity, and tables: selection, overrides, counts, sources."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from bench.errors import UserError
from bench.networks import build
from bench.plan.load import TABLES, load_table, parse_setting, table_names
from bench.report.cell_settings import protocols
from bench.spec.run import RunSpec

EXPERIMENTS = sorted((Path(__file__).parents[3] / "experiments").glob("*.yaml"))
PINNED = json.loads((Path(__file__).parents[1] / "uids.json").read_text())


@pytest.mark.parametrize("name", PINNED)
def test_uid_is_what_it_always_was(name):
    """A hand-written spec keeps its hash, so that finished runs are found again by every later version.

    If this fails, a change of bench.spec.table has renamed every run there is: give a new field the default None, or
    raise `schema_version` and say so.
    """
    spec = RunSpec.model_validate(PINNED[name]["spec"])
    assert spec.uid == PINNED[name]["uid"]


def test_a_copy_of_a_run_has_an_identity_of_its_own():
    run = RunSpec.model_validate(PINNED["train"]["spec"])
    assert run.uid != run.model_copy(update={"seed": run.seed + 1}).uid


def test_order_of_keys_and_spelling_of_defaults_do_not_matter():
    value = PINNED["train"]["spec"]
    shuffled = dict(reversed(list(value.items())))
    explicit = {**value, "schema_version": 1, "kind": "train", "sources": value.get("sources", {})}
    assert len({RunSpec.model_validate(spec).uid for spec in (value, shuffled, explicit)}) == 1


def test_every_setting_is_part_of_the_identity(tiny_spec):
    spec = tiny_spec("transfergan + baseline", scored=True)
    value = spec.model_dump(mode="json")

    def changes(inner, path=()):
        for key, one in inner.items():
            if isinstance(one, dict):
                yield from changes(one, (*path, key))
            elif isinstance(one, bool):
                yield (*path, key), not one
            elif isinstance(one, int | float) and key != "schema_version":
                yield (*path, key), one + 0.25 if isinstance(one, float) and one < 0.5 else one + 1

    uids = {spec.uid}
    tried = 0
    for path, changed in changes(value):
        copy = json.loads(json.dumps(value))
        place = copy
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = changed
        try:
            uids.add(RunSpec.model_validate(copy).uid)
        except ValidationError:
            continue  # not every value may be one more than it is
        tried += 1
    assert tried > 25 and len(uids) == tried + 1


def test_uid_is_a_folder_name_that_a_person_can_read(tiny_spec):
    uid = tiny_spec("diffaugment + disp(prior=effnet_lite0)", seed=3).uid
    assert uid.startswith("diffaugment+disp-effnet_lite0_shapes-32-16_s3_")
    assert "/" not in uid and uid == uid.lower() and len(uid) < 120


def test_the_score_that_a_shipped_table_shows_first_picks_its_best_snapshots():
    tables = [load_table(name) for name in table_names()]
    tables = [table for table in tables if not table.evaluate]  # others show what a measure says of finished runs
    said = {(table.name, scale): (table.metrics[0], table.main_metric(scale), protocols(table, scale)[0].selects.name)
            for table in tables for scale in table.scales if any(table.trained_cells(scale))}  # fmt: skip
    assert {place for place, names in said.items() if len(set(names)) > 1} == set() and len(said) >= 6


def test_the_main_score_is_the_one_that_selects_the_best_snapshot():
    table = load_table("table1")
    for metrics, main in (
        (("fd", "recall"), "fd"),
        (("recall", "fd"), "fd"),
        (("recall", "precision"), "recall"),
        ((), None),
    ):
        assert table.model_copy(update={"metrics": metrics}).main_metric("mini") == main


@pytest.mark.parametrize("name", table_names())
def test_every_cell_of_every_table_is_a_run(name):
    table = load_table(name)
    rows = [row for row in table.rows if row.method is not None]
    for scale, row, column in itertools.product(table.scales, rows, table.columns):
        if table.merged(column, scale, row).of is not None:
            continue  # a run of another table, which is looked at
        spec = table.run_spec(row, column, 0, scale)
        assert RunSpec.model_validate_json(spec.model_dump_json()).uid == spec.uid
        assert spec.protocol.generated == table.scored(column, scale).protocol.generated
        assert spec.train.steps >= 1 and spec.protocol.is_snapshot(spec.train.steps, spec.train.steps)


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_row_of_an_experiment_is_a_run_of_networks_that_exist(path):
    table = load_table(str(path))
    for scale in table.scales:
        for row in table.pick_rows(None):
            spec = table.run_spec(row, table.columns[0], 0, scale)
            generator, _ = build(spec.network.name, **spec.network.options)
            assert generator.resolution == spec.data.resolution


def test_a_row_may_have_its_own_network():
    table = load_table(str(EXPERIMENTS[0].parent / "families.yaml"))
    plain, own = (table.pick_rows([name])[0] for name in ("sngan", "sndcgan"))
    networks = [table.run_spec(row, table.columns[0], 0, "mini").network for row in (plain, own)]
    assert networks[0] == table.at("mini").network and networks[1].name == "sndcgan-32"
    assert "z_dim" not in networks[1].options, "nothing of the scale's network is left"


def test_a_rows_network_must_exist(tmp_path):
    text = (EXPERIMENTS[0].parent / "families.yaml").read_text().replace("name: biggan-32", "name: bigan-32")
    (tmp_path / "mine.yaml").write_text(text)
    line = text[: text.index("bigan-32")].count("\n") + 1
    with pytest.raises(UserError, match=rf"mine.yaml:{line}: .*did you mean 'biggan-32'"):
        load_table(str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize("word", ["none", "None", "'null'", "'-'"])
def test_no_paper_is_said_by_leaving_it_out(word, tmp_path):
    text = (TABLES / "disp/table1.yaml").read_text()
    (tmp_path / "own.yaml").write_text(text.replace("paper: disp", f"paper: {word}"))
    with pytest.raises(UserError, match=r"own\.yaml:6: paper: .* would be a paper of that name; leave the key out"):
        load_table(str(tmp_path / "own.yaml"))
    (tmp_path / "own.yaml").write_text(text.replace("paper: disp", "paper: null"))
    assert load_table(str(tmp_path / "own.yaml")).paper is None


def test_bare_name_is_of_disp():
    assert load_table("table1") == load_table("disp/table1")


def test_paper_scale_of_table1_is_the_papers():
    """DISP, section 5.1 and appendix A: SNGAN at 128 px, batch 25, four discriminator steps, hinge, 30k steps."""
    table = load_table("disp/table1")
    cells = {column.id: table.cell(table.rows[0], column, "paper") for column in table.columns}
    train = cells["anime"].train
    assert (cells["anime"].network.name, train.batch, train.d_steps) == ("sngan-128", 25, 4)
    assert (train.loss, train.steps, train.g_lr) == ("hinge", 30_000, 2e-4)
    assert {name: cell.protocol.generated for name, cell in cells.items()} == {"anime": 10_000, "faces": 7_000}
    assert all(cell.data.shots == 100 for cell in cells.values())
    neighbours = {metric.name: metric.k for metric in cells["anime"].protocol.metrics}
    assert neighbours["precision"] == 10 and neighbours["recall"] == 40


def test_snapshots(tiny_spec):
    protocol = tiny_spec(steps=9, scored=True).protocol.model_copy(update={"every": 4, "first": 5})
    assert [step for step in range(1, 10) if protocol.is_snapshot(step, 9)] == [8, 9]


def test_controls_and_printed_rows_are_picked_by_name_only():
    table = load_table("table1")
    assert not any(row.control or row.printed_only for row in table.pick_rows(None))
    controls = table.pick_rows(["controls"])
    assert controls and all(row.control for row in controls)
    assert [row.id for row in table.pick_rows(["scratch", "ada", "scratch"])] == ["scratch", "ada"]
    with pytest.raises(UserError, match="'bsa' .* is printed only"):
        table.pick_rows(["bsa"])
    with pytest.raises(UserError, match="did you mean 'scratch'"):
        table.pick_rows(["scrath"])


def test_override_reaches_every_row_and_changes_every_uid():
    plain, changed = load_table("table1"), load_table("table1", {"train.steps": 7})
    column = plain.columns[0]
    for row in plain.pick_rows(None):
        before, after = (table.run_spec(row, column, 0, "smoke") for table in (plain, changed))
        assert after.train.steps == 7 and before.uid != after.uid
        assert before.method == after.method and before.sources == after.sources


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train.stepz=5", "did you mean 'steps'"),
        ("trian.steps=5", "did you mean 'train.steps'"),
        ("steps=5", "did you mean 'train.steps'"),
        ("stepz=5", "did you mean 'train.steps'"),
        ("every=5", "did you mean 'protocol.every'"),
        ("batch=5", "did you mean 'train.batch' or 'protocol.batch'"),
        ("netwrok=5", "did you mean 'network'"),
        ("train.steps=many", "--set train.steps=many: .*integer"),
        ("train.steps=0", "greater than 0"),
        ("train.steps=null", "has no train.steps; give it in the scale, the column, the group, the row or the cell"),
        ("train.steps.x=1", "not a group"),
        ("protocol.evry=3", "did you mean 'every'"),
        ("columns.faces.data.shot=5", "did you mean 'shots'"),
        ("network.name=sngan-33", "did you mean 'sngan-32'"),
        ("rows.scratch.method=basline", "did you mean 'baseline'"),
    ],
)
def test_bad_override_is_named(text, message):
    key, value = parse_setting(text)
    with pytest.raises(UserError, match=message) as caught:
        load_table("table1", {key: value})
    assert text.partition("=")[0] in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["train.steps", "=5", "train.steps=[1"])
def test_unreadable_override_is_named(text):
    with pytest.raises(UserError, match="--set"):
        parse_setting(text)


def test_own_method_becomes_a_row():
    table = load_table("table1").with_methods(("diffaugment + disp(prior=alexnet)",))
    (row,) = table.pick_rows(["diffaugment + disp(prior=alexnet)"])
    assert table.run_spec(row, table.columns[0], 0, "smoke").method[1].settings["prior"] == "alexnet"
    with pytest.raises(UserError, match="did you mean 'diffaugment'"):
        load_table("table1").with_methods(("difaugment",))


@pytest.mark.parametrize("name", ["disp/table1", "dip/table1"])
def test_priors_are_read_at_their_networks_own_size_at_paper_scale_alone(name):
    """fc7 at 224 px at paper scale, conv5_3 at 64 px where weights are embedded; controls are of that very prior."""
    table = load_table(name)
    for scale, network, size in (
        ("paper", "vgg16_fc7", "own"),
        ("mini", "vgg16", 64),
        ("smoke", "vgg16", 64),
    ):
        seen = []
        for row in table.rows:
            spec = row.method and table.run_spec(row, table.columns[0], 0, scale)
            for part in spec.method if spec else ():
                prior = part.settings.get("prior")
                if prior in ("random", "shuffled"):
                    prior = part.settings.get("control_of", "vgg16")
                if prior not in (None, "simclr"):
                    seen.append((prior, part.settings["prior_size"]))
                if part.name == "baseline" and row.id.endswith("-norm"):
                    assert part.settings["norm"] == (64 if scale == "paper" else "rms")  # sqrt(4096)
        assert set(seen) == {(network, size)} and len(seen) >= 5
