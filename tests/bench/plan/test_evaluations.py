"""Tables that show evaluations: of their own runs, of another row's, of other tables'; and what cannot be one."""

from __future__ import annotations

import pytest
import torch
import yaml

from bench.errors import UserError
from bench.plan.estimate import Estimates
from bench.plan.kinds import kind
from bench.plan.load import load_table
from bench.plan.preflight import problems
from bench.plan.runs import make_plan
from bench.plan.schedule import PlannedRun
from bench.run.execute import execute
from bench.run.settings import Settings
from bench.spec.resources import Resources
from bench.store.checkpoints import read_weights
from bench.store.runs import Store

SCALE = {
    "network": {"name": "sngan-32", "options": {"g_width": 8, "d_width": 8, "z_dim": 16, "sn_generator": True}},
    "train": {"steps": 6, "batch": 4, "g_lr": 1e-3, "d_lr": 1e-3},
    "protocol": {
        "name": "tiny", "version": 1, "every": 2, "metrics": [{"name": "fd", "extractor": "effnet_lite0@32"}],
    },
    "data": {"name": "shapes", "resolution": 32, "shots": 16},
    "generated": 24,
    "reference": 24,
}  # fmt: skip
OWN = {
    "title": "Samplers",
    "seeds": 2,
    "snapshot": "best",
    "metrics": ["fd"],
    "rows": [
        {"id": "plain", "label": "Plain", "method": "unconditional"},
        {"id": "mix", "label": "Mix", "method": "disp(prior=random)"},
        {
            "id": "pure", "label": "Pure", "method": "disp(prior=random)",
            "evaluate": {"measure": "rescore", "sampling": "pure"},
        },
        {"id": "gmm", "label": "GMM", "of": {"row": "mix"}, "evaluate": {"measure": "rescore", "sampling": "gmm-2"}},
        {"id": "alone", "label": "Alone", "method": "disp", "evaluate": {"measure": "rescore", "snapshot": "final"}},
    ],
    "columns": [{"id": "shapes", "label": "Shapes"}, {"id": "few", "label": "Few"}],
    "absent": ["mix/few"],
    "scales": {"smoke": {**SCALE, "columns": {"few": {"data": {"shots": 8}, "generated": 12}}}},
}  # fmt: skip
OTHER = {
    "title": "Borrowed",
    "seeds": 1,
    "snapshot": "final",
    "metrics": ["fd"],
    "of": "own.yaml",
    "evaluate": {"measure": "rescore"},
    "rows": [{"id": "mix", "label": "Mix"}, {"id": "pure", "label": "Pure"}],
    "columns": [{"id": "shapes", "label": "Shapes"}, {"id": "small", "label": "Small", "of": {"column": "few"}}],
    "scales": {"smoke": {"generated": 30, "rows": {"pure": {"evaluate": {"snapshot": "best"}}}}},
}


@pytest.fixture
def write(tmp_path):
    def write(value, name="own"):
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(value, sort_keys=False))
        return str(path)

    write(OWN)
    return write


def changed(table, **settings):
    """The table with dotted keys replaced (a number is a place in a list); None removes."""
    value = yaml.safe_load(yaml.safe_dump(table))
    for key, setting in settings.items():
        *above, last = [int(piece) if piece.isdigit() else piece for piece in key.split("__")]
        place = value
        for piece in above:
            place = place[piece]
        place[last] = setting
    return value


def planned(path, store, **choice):
    return make_plan(load_table(path), "smoke", store, **choice)


def shown(table, row, column, seed=0):
    (picked,), (place,) = table.pick_rows([row]), table.pick_columns([column])
    return table.shown_spec(picked, place, seed, "smoke")


def test_one_training_serves_all_rows_that_evaluate_it(write, store_root):
    plan = planned(write(OWN), Store(store_root), columns=["shapes"])
    by_label = {run.label: run for run in plan.runs}
    assert list(by_label)[:7] == [
        "plain · shapes · seed 0",
        "mix · shapes · seed 0",
        "pure · shapes · seed 0",
        "gmm · shapes · seed 0",
        "alone · shapes · seed 0 (training)",
        "alone · shapes · seed 0",
        "plain · shapes · seed 1",
    ]
    mix, pure, gmm = (by_label[f"{row} · shapes · seed 0"] for row in ("mix", "pure", "gmm"))
    assert pure.needs == gmm.needs == (mix.uid,) and len(plan.runs) == 12
    assert [one.spec.measure.settings for one in (pure, gmm, by_label["alone · shapes · seed 0"])] == [
        {"snapshot": "best", "sampling": "pure"},
        {"snapshot": "best", "sampling": "gmm-2"},
        {"snapshot": "final"},
    ]
    assert mix.spec == shown(load_table(write(OWN)), "mix", "shapes"), "the training's own identity is what it was"
    starts = [run.uid for run in plan.to_start(None)]
    assert all(starts.index(uid) < starts.index(run.uid) for run in plan.runs for uid in run.needs)


def test_absent_cells_of_the_lender_are_absent_here_too(write, store_root):
    cells = {(cell.row, cell.column) for run in planned(write(OWN), Store(store_root)).runs for cell in run.cells}
    assert ("mix", "few") not in cells and ("gmm", "few") not in cells and ("pure", "few") in cells
    plan = planned(write(OTHER, "other"), Store(store_root))
    assert [run.label for run in plan.runs] == [
        "own: mix · shapes · seed 0 (training)",
        "mix · shapes · seed 0",
        "pure · shapes · seed 0",
        "own: pure · few · seed 0 (training)",
        "pure · small · seed 0",
    ]


def test_borrowed_runs_have_the_other_tables_settings_and_this_tables_counts(write):
    own, other = load_table(write(OWN)), load_table(write(OTHER, "other"))
    task = shown(other, "pure", "small")
    assert task.evaluated == shown(own, "pure", "few").evaluated
    assert (task.protocol.generated, task.protocol.reference, task.protocol.name) == (30, 24, "tiny")
    assert task.evaluated.protocol.generated == 12 and task.data.shots == 8
    assert task.measure.settings == {"snapshot": "best", "sampling": "pure"}, "the sampling is the lender's row's own"
    assert shown(other, "mix", "shapes").measure.settings == {"snapshot": "final"}
    for sampling, settings in (("mix", {"sampling": "mix"}), (None, {})):
        value = changed(OTHER, scales__smoke__rows__pure={"evaluate": {"sampling": sampling}})
        assert shown(load_table(write(value, "other")), "pure", "small").measure.settings == {
            "snapshot": "final",
            **settings,
        }


def test_a_shipped_table_lends_its_runs(write):
    value = {**OTHER, "of": "disp/table1", "rows": [{"id": "scratch+disp", "label": "DISP"}], "scales": {"smoke": {}},
             "columns": [{"id": "faces", "label": "Faces"}]}  # fmt: skip
    table, lender = load_table(write(value, "other")), load_table("disp/table1")
    assert shown(table, "scratch+disp", "faces").evaluated == shown(lender, "scratch+disp", "faces")
    assert load_table("disp/table1") is lender, "a shipped table is read once"


def test_settings_and_methods_of_the_command_line_reach_the_runs_that_are_evaluated(write):
    path = write(OTHER, "other")
    task = shown(load_table(path, {"train.steps": 9, "protocol.every": 3}), "mix", "shapes")
    assert (task.evaluated.train.steps, task.evaluated.protocol.every, task.protocol.every) == (9, 3, 1)
    table = load_table(path).with_methods(["mine=unconditional"])
    task = shown(table, "mine", "small")
    assert [part.name for part in task.evaluated.method] == ["unconditional"] and task.protocol.generated == 30
    assert table.fits(table.pick_rows(["mine"])[0], "smoke")
    assert not load_table(path).with_methods(["x=freezed"]).fits(table.pick_rows(["mine"])[0], "smoke")
    with pytest.raises(
        UserError, match=r"^--set evaluate.sampling=3: cell .*measure 'rescore': sampling: Input should"
    ):
        load_table(path, {"evaluate.sampling": 3})


@pytest.mark.parametrize(
    ("table", "settings", "line"),
    [
        (OWN, {"rows__2__evaluate": {"measure": "rescore", "samplin": "pure"}},
         "own.yaml:17: rows.2.evaluate: cell pure/shapes at scale smoke: measure 'rescore': samplin: unknown key; did"),
        (OWN, {"rows__3__of": {"row": "mixx"}}, "unknown row 'mixx' of own; did you mean 'mix'?"),
        (OWN, {"rows__3__of": {"row": "gmm"}}, "own borrows gmm/shapes itself; name the table that trains it"),
        (OWN, {"rows__3__evaluate": {}}, "names whose runs are evaluated, but no measure; give evaluate"),
        (OTHER, {"of": "owl.yaml"}, "owl.yaml: cannot be read: No such file or directory"),
        (OTHER, {"of": "disp/tabel1"}, "of: unknown table 'disp/tabel1'; did you mean 'disp/table1'?"),
        (OTHER, {"columns__1__of": {"column": "fewer"}}, "unknown column 'fewer' of own; did you mean 'few'?"),
        (OTHER, {"scales": {"mini": {}}}, "own has no scale 'mini'"),
        (OTHER, {"scales__smoke__protocol": {"name": None}}, "cell mix/shapes has no protocol.name; give it in"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_with_its_place(table, settings, line, write):
    path = write(changed(table, **settings), "own" if table is OWN else "other")
    with pytest.raises(UserError) as refusal:
        load_table(path)
    assert line in str(refusal.value) and ".yaml" in str(refusal.value) and "\n" not in str(refusal.value)


NORM = """
from bench.evaluate.card import Result, RunMeasure, Value
from bench.metrics.output import Output


def compute(subject, settings):
    return Result([Value("sized", float(sum(value.abs().sum() for value in subject.source("judge")["ema"].values())))])


MEASURES = [
    RunMeasure(
        name="sized", summary="a source's size", sources=("judge",), compute=compute,
        outputs=(Output(name="sized", summary="s", title="size", short="size", better="lower"),),
    )
]
"""


def test_a_measure_may_start_from_further_sources(write, store_root, load_plugin):
    """Planned before the evaluation, an input of it, and read by the measure; without one the table is refused."""
    load_plugin(NORM)
    value = changed(OWN, rows__2__evaluate={"measure": "sized"})
    with pytest.raises(
        UserError, match="rows.2.evaluate: .*measure 'sized' starts from a source 'judge', which own at"
    ):
        load_table(write(value))
    judge = {"method": "unconditional", "network": SCALE["network"], "train": {**SCALE["train"], "steps": 2}}
    value["scales"]["smoke"]["sources"] = {"judge": {**judge, "data": SCALE["data"]}}
    store = Store(store_root)
    plan = planned(write(value), store, rows=["pure"], columns=["shapes"], seeds=[0])
    training, source, evaluation = sorted(plan.runs, key=lambda run: (run.spec.measure is not None, run.behind is None))
    assert evaluation.needs == (source.uid, training.uid) and source.label == "source · shapes · seed 0"
    for run in (source, training, evaluation):
        store.open(run.spec)
        assert execute(run.uid, store, Settings(torch.device("cpu")), lambda: False, lambda *_: None) == "done"
    folder = store.folder(evaluation.uid)
    weights = read_weights(store.folder(source.uid).final_weights)["ema"]
    assert folder.metrics()[0]["value"] == pytest.approx(float(sum(one.abs().sum() for one in weights.values())))
    assert {f"run/{source.uid}", f"run/{training.uid}"} <= set(folder.inputs()["read"])
    assert problems(planned(write(value), store), deep=True) == []


def test_without_training_only_what_is_over_is_evaluated(write, store_root):
    store = Store(store_root)
    path = write(OWN)
    for run, diverged in zip(planned(path, store, rows=["mix"], columns=["shapes"]).runs, (None, 3), strict=True):
        folder = store.open(run.spec)
        folder.finish({"steps": 6, "diverged_at": diverged, "weights_sha256": "0" * 64, "seconds": 1.0})
    plan = planned(path, store, rows=["pure", "gmm", "alone"], columns=["shapes"])
    plan.trains = False
    assert sorted(run.label for run in plan.to_start(None)) == [
        f"{row} · shapes · seed {seed}" for row in ("gmm", "pure") for seed in (0, 1)
    ]
    assert [run.label for run in plan.left_out(None)] == [
        f"alone · shapes · seed {seed}{what}" for seed in (0, 1) for what in (" (training)", "")
    ]
    plan.trains = True
    assert len(plan.to_start(None)) == 8 and plan.left_out(None) == []


def test_nothing_behind_a_stale_training_starts(write, store_root):
    """Not even through a training that has not begun."""
    plan = planned(write(OWN), Store(store_root), rows=["gmm"], columns=["shapes"], seeds=[0])
    training, evaluation = plan.runs
    plan.runs.insert(0, PlannedRun(training.spec.model_copy(update={"seed": 9}), status="stale"))
    training.needs = (plan.runs[0].uid,)
    assert plan.to_start(None) == [] and plan.waiting_for_stale() == [training, evaluation]
    assert len(plan.to_start("stale")) == 3


def test_evaluations_are_a_kind_of_their_own(write, store_root):
    """Their time is not a training's; without a finished one it is a minute at most, or what the card says."""
    plan = planned(write(OWN), Store(store_root), columns=["shapes"], seeds=[0])
    kinds = {run.label.split(" ")[0]: kind(run.spec) for run in plan.runs if run.cells}
    assert len(set(kinds.values())) == 5, "two samplings may take differently long"
    again = planned(write(OWN), Store(store_root), columns=["shapes"], seeds=[1])
    assert {kind(run.spec) for run in again.runs} == {kind(run.spec) for run in plan.runs}
    evaluations = [run for run in plan.runs if run.spec.measure is not None]
    assert {Estimates().seconds(run) for run in evaluations} == {60.0}
    evaluations[0].resources = Resources(minutes=0.2)
    assert Estimates().seconds(evaluations[0]) == 12.0, "no longer than a training"
    measured = Estimates(seconds_of={kind(evaluations[0].spec): [2.0, 4.0, 90.0]})
    assert [measured.seconds(run) for run in evaluations[:2]] == [4.0, 60.0]


def test_an_evaluation_without_figures_has_the_time_of_its_training(write, store_root):
    """Where the training is another table's, too; its memory is not the evaluation's."""
    write(changed(OWN, scales__smoke__resources={"minutes": 0.1, "memory_gb": 1.5}))
    borrowed = planned(write(OTHER, "other"), Store(store_root), rows=["mix"], columns=["shapes"], seeds=[0])
    (evaluation,) = (run for run in borrowed.runs if run.spec.measure is not None)
    assert evaluation.resources == Resources(minutes=0.1)
    assert Estimates().seconds(evaluation) == 6.0
    given = changed(OTHER, scales__smoke__resources={"memory_gb": 2.0})
    borrowed = planned(write(given, "other"), Store(store_root), rows=["mix"], columns=["shapes"], seeds=[0])
    (evaluation,) = (run for run in borrowed.runs if run.spec.measure is not None)
    assert evaluation.resources == Resources(minutes=0.1, memory_gb=2.0), "a figure of memory alone is kept"
    given = changed(OTHER, scales__smoke__resources={"minutes": 0.2})
    borrowed = planned(write(given, "other"), Store(store_root), rows=["mix"], columns=["shapes"], seeds=[0])
    assert [Estimates().seconds(run) for run in borrowed.runs if run.spec.measure is not None] == [12.0], "its own"


def test_an_impossible_evaluation_is_found_before_anything_trains(write, store_root):
    value = changed(OWN, rows__0__evaluate={"measure": "rescore", "sampling": "pure"})
    value["rows"][2]["evaluate"]["sampling"] = "purr"
    found = {problem.keys: problem.text for problem in problems(planned(write(value), Store(store_root)), deep=True)}
    assert found == {
        ("rows", 0, "evaluate"): "method 'unconditional' has no setting 'sampling' that it uses at inference alone; "
        "it has none",
        ("rows", 2, "evaluate"): "unknown sampling 'purr'; did you mean 'pure'?",
    }


def test_a_problem_of_a_borrowed_run_names_the_table_that_trains_it(write, store_root):
    write(changed(OWN, scales__smoke__network={"name": "sngan-48"}))
    found = problems(planned(write(OTHER, "other"), Store(store_root), rows=["mix"], columns=["shapes"]))
    assert [(problem.keys, problem.text) for problem in found] == [
        ((), "runs of own: network 'sngan-48' makes 48 px images, data set 'shapes' is asked for at 32 px")
    ]
