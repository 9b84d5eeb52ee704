"""What a report shows: only what was asked for, and what has no run in one line; no number depends on it."""

import pytest

from bench.errors import UserError
from bench.report.build import build_report
from bench.report.fold import Asked, folded
from bench.report.render import csv, html, latex, markdown, text


@pytest.fixture
def partly(spec, run, snapshots, frame, simulated):
    """Scratch and ADA in one column alone; everything else of the table is missing."""
    whole = simulated()
    ran = whole[whole["row"].isin(["scratch", "ada"]) & (whole["column"] == "anime")]
    missing = [
        run(row, column, seed, {}, status="missing")
        for row in ("scratch", "scratch+disp", "ada")
        for column in ("anime", "faces")
        for seed in range(3)
        if row == "scratch+disp" or column == "faces"
    ]
    points = [
        run(point, "anime", seed, {}, status="missing", kind="reference")
        for point in ("floor", "memorised")
        for seed in range(3)
    ]
    made = frame(*missing, *points)
    return type(made)({name: [*ran[name], *made[name]] for name in made.columns}).astype(made.dtypes)


def test_rows_columns_and_claims_without_runs_are_one_line_each(spec, partly):
    shown = folded(build_report(spec, "paper", partly))
    assert [row.id for row in shown.rows] == ["scratch", "ada", "bsa"]
    assert [column.id for column in shown.columns] == ["anime"]
    assert shown.claims == ()
    assert shown.notes[:3] == (
        "Rows not run: scratch+disp, floor, memorised.",
        "Columns not run: faces.",
        "Claims not tested, for lack of finished runs: helps, hurts, same.",
    )
    assert not any(line.startswith("Faces:") for line in shown.caption)
    assert any(line.startswith("Anime:") for line in shown.caption)


@pytest.mark.parametrize("render", [text.render, markdown.render, latex.render, html.render])
def test_every_rendering_names_what_it_leaves_out(render, spec, partly):
    whole = build_report(spec, "paper", partly)
    short = render(folded(whole))
    assert "Rows not run: scratch+disp, floor, memorised." in " ".join(short.split())
    assert short.count("missing") == 1, "the caption's count of runs, and no cell"
    assert render(whole).count("missing") > 20


def test_a_named_row_is_shown_though_it_has_no_run(spec, partly):
    shown = folded(build_report(spec, "paper", partly), ["scratch+disp"])
    assert [row.id for row in shown.rows] == ["scratch", "scratch+disp", "ada", "bsa"]
    assert "missing" in text.render(shown)


def test_where_nothing_has_been_run_the_table_is_whole(spec, partly):
    nothing = partly.assign(status="missing", value=float("nan"))
    whole = build_report(spec, "paper", nothing)
    assert folded(whole) == whole


def test_a_tested_claim_stays(spec, results):
    shown = folded(build_report(spec, "paper", results))
    assert [claim.id for claim in shown.claims] == ["helps", "hurts", "same"]
    assert not any("not run" in note or "not tested" in note for note in shown.notes)


def test_a_narrower_view_changes_no_number(spec, results):
    """Pooled intervals, marks and Holm's p are the whole table's, or one cell would have two readings."""
    whole = build_report(spec, "paper", results)
    asked = build_report(spec, "paper", results, Asked({"scratch", "ada"}, {"faces"}, {"fd"}))
    assert [row.id for row in asked.rows] == ["scratch", "ada", "floor", "memorised"]
    assert [column.id for column in asked.columns] == ["faces"]
    assert {block.metric for block in asked.blocks} == {"fd"} and len(asked.blocks) == 2
    assert asked.blocks[0].cells == next(block for block in whole.blocks if block.metric == "fd").cells
    assert asked.claims == ()
    assert any("of the whole table" in line for line in asked.caption)
    assert not any("of the whole table" in line for line in whole.caption)
    assert set(asked.results["row"]) == {"scratch", "ada", "floor", "memorised"}
    assert set(asked.results["metric"]) == {"fd"} and set(asked.results["column"]) == {"faces"}
    assert "scratch+disp" not in csv.raw(asked) and "scratch+disp" in csv.raw(whole)
    both = build_report(spec, "paper", results, Asked(rows={"scratch", "scratch+disp"}))
    assert [claim.id for claim in both.claims] == ["helps", "hurts"]
    assert both.claims == whole.claims[:2]


@pytest.mark.parametrize("scale", ["smoke", "paper"])
@pytest.mark.parametrize("column", ["anime", "faces"])
def test_a_column_reads_the_same_whether_the_others_have_runs_or_not(spec, results, scale, column):
    """Remarks and notes of a report on one column were of the other columns of the store too."""
    asked = Asked(columns={column})
    alone = build_report(spec, scale, results[results["column"] == column], asked)
    among = build_report(spec, scale, results, asked)
    assert any(block.notes for block in among.blocks)
    assert [(block.notes, block.groups) for block in among.blocks] == [
        (block.notes, block.groups) for block in alone.blocks
    ]
    assert (among.notes, among.caption) == (alone.notes, alone.caption)


def test_an_unknown_metric_is_named(spec, results):
    with pytest.raises(UserError, match="does not score 'precison'; did you mean 'precision'"):
        build_report(spec, "paper", results, Asked(metrics=["precison"]))


def test_a_table_without_a_paper_speaks_of_its_own_rows(table, results):
    told = text.render(build_report(table(paper=None), "paper", results))
    assert "sd pooled over the table's rows" in told and "paper's rows" not in told
    assert "sd pooled over the paper's rows" in text.render(build_report(table(), "paper", results))


def test_a_table_without_printed_numbers_speaks_of_none(spec, results):
    """A user's table that extends a paper's has its rows, and not one number that was printed of them."""
    mine = text.render(build_report(spec.model_copy(update={"name": "mine"}), "mini", results))
    assert "printed numbers" not in mine and "[printed in" not in mine
    papers = text.render(build_report(spec, "mini", results))
    assert "The printed numbers are another data set" in papers and f"[printed in {spec.name}]" in papers
