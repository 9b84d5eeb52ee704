"""The leaderboard: what was scored alike is ranked together, and everything recorded is in it or named."""

from __future__ import annotations

import math

import pytest

from bench.errors import UserError
from bench.evaluate.registry import output_card
from bench.files import atomic
from bench.plan.load import load_table
from bench.report.frame import COLUMNS, as_frame
from bench.report.html.files import Inside
from bench.report.html.leaderboard import leaderboard_page
from bench.report.leaderboard import leaderboard
from bench.report.making import read_making
from bench.report.recorded import load_recorded, save_recorded
from bench.report.render import leaderboard_markdown
from bench.stats import standings, t_interval

LEVELS = {"scratch": 100.0, "diffaugment": 60.0, "scratch+disp": 59.0}
NOISE = (0.02, -0.03, 0.01, 0.04, -0.02)
FD = "effnet_lite0@96"


def lines(levels=None, seeds=range(5), *, scale="mini", column="faces", settings=None, **more):
    """Results of Table 1 with a known order: each seed has a share of its own, and each row a little noise."""
    spec, made = load_table("table1", settings or {}), []
    (at,) = spec.pick_columns([column])
    rows = {row.id: row for row in spec.rows}
    for place, (name, level) in enumerate((levels or LEVELS).items()):
        for seed in seeds:
            uid = (
                spec.run_spec(rows[name], at, seed, scale).uid
                if name in rows
                else spec.reference_spec(name, at, seed, scale).uid
                if name in spec.references
                else f"{name}_s{seed}_0123456789ab"
            )
            kind = "reference" if name in spec.references else "train"
            value = level * (1 + NOISE[seed]) * (1 + 0.3 * NOISE[(seed + place) % 5])
            made.append({
                "row": name, "column": column, "metric": "fd", "extractor": FD, "seed": seed, "step": 2000,
                "value": value, "n_generated": 1000, "n_reference": 2000, "status": "done", "uid": uid,
                "origin": "runs", "kind": kind, "commit": "0123456789", **more,
            })  # fmt: skip
    return as_frame(made, COLUMNS)


@pytest.fixture
def keep(tmp_path):
    """Record results in a set, and what its runs took."""

    def keep(name, frame, scale="mini", **making):
        made = {str(uid): making for uid in frame["uid"].unique()} if making else None
        return save_recorded(frame, name, "disp/table1", scale, tmp_path, making=made)

    return keep


def test_a_ranking_is_in_order_and_its_intervals_are_those_of_the_seeds(keep, tmp_path):
    frame = lines({**LEVELS, "floor": 5.0})
    keep("lab", frame, machine="1 x GPU", seconds=1800.0)
    (ranking,) = leaderboard(tmp_path).rankings
    assert (ranking.table, ranking.scale, ranking.column.id, ranking.score) == (
        "disp/table1",
        "mini",
        "faces",
        f"FD({FD})",
    )
    by_row = {row: group["value"].tolist() for row, group in frame.groupby("row")}
    means = {row: sum(values) / 5 for row, values in by_row.items()}
    assert [entry.name for entry in ranking.entries] == sorted(LEVELS, key=means.__getitem__)
    assert [entry.name for entry in ranking.points] == ["floor"] and ranking.points[0].rank == ""
    # By the library of ranks, which has tests of its own, from the same values
    card = output_card("fd")
    things = [{seed: math.log(v) for seed, v in enumerate(by_row[e.name])} for e in ranking.entries]
    found = standings(things)
    for entry, low, high in zip(ranking.entries, found.low, found.high, strict=True):
        assert entry.cell.rank == (low, high) and card.is_ratio
        assert entry.cell.centre == pytest.approx(t_interval(by_row[entry.name]).mean)
        assert entry.rank == (str(low) if low == high else f"{low}–{high}")
        assert entry.commits == ("0123456789",) and entry.machines == ("1 x GPU",) and entry.hours == 2.5
    assert ranking.entries[-1].name == "scratch" and ranking.entries[-1].rank == "3"
    assert not ranking.comparable and any("109.25" in text for _, text in ranking.printed)


def test_sets_of_several_people_are_ranked_together_and_one_run_counts_once(keep, tmp_path):
    keep("lab", lines({"scratch": 100.0, "diffaugment": 60.0}))
    keep("other", lines({"diffaugment": 55.0, "mine": 50.0}, range(3)))
    keep("copy", lines({"scratch": 100.0}, range(2)))
    (ranking,) = leaderboard(tmp_path).rankings
    assert [entry.name for entry in ranking.entries] == ["mine", "diffaugment (other)", "diffaugment (lab)", "scratch"]
    scratch = ranking.entries[-1]
    assert scratch.cell.interval.n == 5 and scratch.sets == ("copy", "lab")
    assert any("mine" in note and "not checked" in note for note in ranking.notes)


def test_two_values_of_one_run_are_two_entries(keep, tmp_path):
    """Another machine's: nobody can say which is right, and a seed must not count twice."""
    keep("lab", lines())
    keep("other", lines({"scratch": 90.0}))
    (ranking,) = leaderboard(tmp_path).rankings
    assert {entry.name for entry in ranking.entries} == {
        "scratch (lab)",
        "scratch (other)",
        "diffaugment",
        "scratch+disp",
    }
    assert all(entry.cell.interval.n == 5 for entry in ranking.entries)


@pytest.mark.parametrize("other", [{"n_generated": 500}, {"reference_sha256": "b" * 64}, {"reference_split": "all"}])
def test_what_was_scored_otherwise_has_a_ranking_of_its_own(other, keep, tmp_path):
    keep("lab", lines(reference_sha256="a" * 64))
    keep("other", lines({"mine": 1.0}, **{"reference_sha256": "a" * 64, **other}))
    first, second = leaderboard(tmp_path).rankings
    assert [entry.name for entry in second.entries] == ["mine"] and second.entries[0].rank == ""
    assert "mine" not in [entry.name for entry in first.entries] and len(first.entries) == 3


def test_what_is_not_ranked_is_named(keep, tmp_path):
    keep("lab", lines())
    keep("old", lines({"ada": 1.0}, settings={"train.steps": 7}))
    keep("tried", lines(scale="smoke"), "smoke")
    atomic.write_text(
        tmp_path / "mine" / "my-table-mini.csv",
        load_recorded("lab", root=tmp_path).assign(table="my-table").to_csv(index=False),
    )
    board = leaderboard(tmp_path)
    (ranking,) = board.rankings
    assert "ada" not in [entry.name for entry in ranking.entries]
    assert "Left out, recorded with other settings or versions than the table has today: ada (5 runs)." in ranking.notes
    assert "disp/table1 at smoke (tried): numbers of that scale rank nothing." in board.left_out
    assert any(line.startswith("my-table at mini (mine): a table that does not ship") for line in board.left_out)
    page = leaderboard_page(board, Inside(), "index.html")
    text = leaderboard_markdown.render(board)
    assert all("rank nothing" in shown and "my-table" in shown for shown in (page, text))


def test_an_experiment_is_ranked_and_no_name_leads_out_of_its_folder(tmp_path):
    kept = load_recorded("cpu", "2026")
    (tmp_path / "lab").mkdir()
    for number, name in enumerate(["2026", "../experiments/2026"]):
        (tmp_path / "lab" / f"{number}-mini.csv").write_text(kept.assign(table=name).to_csv(index=False))
    board = leaderboard(tmp_path)
    (ranking,) = board.rankings
    assert ranking.table == "2026" and len(ranking.entries) == 17 and len(ranking.points) == 2
    assert any("Projected GAN trains on the features of effnet_lite0" in note for note in ranking.notes)
    assert board.left_out == ("../experiments/2026 at mini (lab): a table that does not ship with this version.",)


def test_a_diverged_seed_is_shown_and_not_ranked(keep, tmp_path):
    frame = lines()
    bad = (frame["row"] == "scratch+disp") & (frame["seed"] == 2)
    frame.loc[bad, "status"] = "diverged"
    keep("lab", frame)
    (ranking,) = leaderboard(tmp_path).rankings
    (entry,) = [one for one in ranking.entries if one.name == "scratch+disp"]
    assert entry.rank == "" and "1 of 5 diverged" in leaderboard_markdown.render(leaderboard(tmp_path))


def test_hostile_names_stay_text_in_both_forms(keep, tmp_path):
    name = '<script>alert(1)</script> | **x** "'
    keep("lab", lines({name: 50.0, "scratch": 100.0}, commit="<b>"))
    board = leaderboard(tmp_path)
    page, text = leaderboard_page(board, Inside(), "index.html"), leaderboard_markdown.render(board)
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page
    rows = [line for line in text.splitlines() if "alert" in line and line.startswith("|")]
    assert len(rows) == 1 and "<script>" not in rows[0].replace("\\<", "") and "\\|" in rows[0] and "\\*\\*x" in rows[0]


def test_what_runs_took_is_kept_as_long_as_they_are(keep, tmp_path):
    path = keep("lab", lines(), machine="a", seconds=10.0).path
    keep("lab", lines({"ada": 70.0}), machine="b", seconds=20.0)
    kept = read_making(path)
    assert {run["machine"] for run in kept.values()} == {"a", "b"} and len(kept) == 20
    keep("lab", lines({"ada": 71.0}))
    assert len(read_making(path)) == 20, "recorded again without it: what is known stays"
    path.with_suffix(".made.json").write_text('{"schema": 1, "runs": {"x": {"machine": 3}}}')
    with pytest.raises(UserError, match="made.json: must be"):
        leaderboard(tmp_path)


def test_nothing_recorded_is_an_empty_page_that_says_so(tmp_path):
    board = leaderboard(tmp_path)
    assert board.rankings == () and "Nothing is recorded" in leaderboard_page(board, Inside(), "index.html")
    assert "Nothing is recorded" in leaderboard_markdown.render(board)
