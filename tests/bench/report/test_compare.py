"""A method against a recorded set: rank, ratios, who is told apart, seeds needed, cost, and what is refused."""

import io
import json
import math

import pandas as pd
import pytest
from scipy import stats

from bench import seeds
from bench.errors import UserError
from bench.report.cell_settings import protocol_of
from bench.report.cells import make_cells, per_seed
from bench.report.compare import compare
from bench.report.costs import Spent
from bench.report.marks import mark_best
from bench.report.render.comparison_data import as_json, csv
from bench.report.render.comparison_text import render, render_markdown
from bench.stats import seeds_needed


@pytest.fixture
def mine(run, snapshots, frame):
    """A method at 90, between DISP's 60 and scratch's 120; `offset` gives it other seeds."""

    def make(offset=0, level=90.0, n=3):
        stream = seeds.numpy_stream(1, "compare-fixture")
        runs = []
        for column in ("anime", "faces"):
            for seed in range(offset, offset + n):
                fd = level * math.exp(stream.normal(0, 0.02))
                runs.append(run("mine", column, seed, snapshots((fd, 0.5, 0.5))))
        return frame(*runs)

    return make


def verdicts(found, column):
    standing = next(standing for standing in found.standings if standing.column == column)
    return {baseline.row: baseline.verdict for baseline in standing.against}


def test_rank_and_verdicts_follow_the_truth(spec, results, mine):
    found = compare(spec, "mini", "mine", mine(offset=10), results, "cpu")
    for standing in found.standings:
        assert (standing.rank, standing.of) == (3, 4)
        assert [baseline.row for baseline in standing.against][-1] == "scratch"  # sorted, best baseline first
        assert "floor" not in [baseline.row for baseline in standing.against]
        # the fixture's truth, three seeds of which are known to some 5 %
        scratch = standing.against[-1].comparison
        assert scratch is not None and not scratch.paired
        assert scratch.size == pytest.approx(90 / 120, rel=0.15)
    assert found.label == "FD(effnet_lite0@96)"


def test_who_is_told_apart_is_as_the_report_marks_it(spec, simulated, mine):
    """Tukey's range test over all rows of a column at once; until now each pair had its own spread, and Holm ran over
    all baselines and columns, so that a page and a comparison of the same rows disagreed.
    """
    theirs, ours = simulated(range(5)), mine(n=5)
    found = compare(spec, "mini", "mine", ours, theirs, "cpu")
    assert verdicts(found, "anime") == {"scratch": "better", "scratch+disp": "worse", "ada": "worse"}
    rows = ["scratch", "scratch+disp", "ada", "mine"]
    values = per_seed(pd.concat([ours, theirs[theirs["kind"] == "train"]]), "best", protocol_of(spec, "mini"))
    cells = make_cells(values[values["metric"] == "fd"], "fd", rows, ["anime", "faces"], 5)
    marked, _ = mark_best(cells, "fd", rows, ["anime", "faces"])
    for standing in found.standings:
        assert standing.pooled and standing.ranks == marked["mine", standing.column].rank == (3, 3)
        for one in standing.against:
            pair = one.comparison
            assert pair.paired and pair.n == 5 and pair.df == 12
            apart = pair.low > 1 or pair.high < 1
            assert apart == (pair.adjusted < 0.05) == (one.verdict != "not told apart") == (one.needed is None)


def test_seeds_that_are_not_shared_are_holm_adjusted_over_the_baselines_of_a_column(spec, simulated, mine):
    found = compare(spec, "mini", "mine", mine(offset=10, n=5), simulated(range(5)), "cpu")
    for standing in found.standings:
        pairs = [one.comparison for one in standing.against]
        smallest = min(pairs, key=lambda one: one.p)
        assert not standing.pooled and smallest.adjusted == pytest.approx(min(1, 3 * smallest.p))
        assert not any(pair.paired for pair in pairs) and standing.gaps == ()
    assert "each pair has a test" in " ".join(render(found).split()) and "5 Welch" in render(found)


def test_one_seed_is_said_in_so_many_words(spec, simulated, mine):
    found = compare(spec, "mini", "mine", mine(n=1), simulated(range(1)), "cpu")
    told = render(found)
    assert "not told apart: one seed" in told and "run at least two seeds of either side" in told
    assert "run at least two seeds" in render_markdown(found)
    assert "one seed" not in render(compare(spec, "smoke", "mine", mine(), simulated(), "cpu"))


@pytest.mark.parametrize("rendering", [render, render_markdown])
def test_smoke_numbers_rank_nothing(spec, simulated, mine, rendering):
    """As in the report: no rank, and no verdict where a ratio would be decided at another scale."""
    told = {
        scale: rendering(compare(spec, scale, "mine", mine(n=5), simulated(range(5)), "cpu"))
        for scale in ("smoke", "mini")
    }
    assert "rank 3 of 4, 95 % interval 3 to 3" in told["mini"] and "better" in told["mini"]
    assert "rank 3" not in told["smoke"] and "Smoke numbers rank nothing" in told["smoke"]
    lines = [line.strip("| ") for line in told["smoke"].splitlines()]
    baselines = [line for line in lines if line.startswith(("scratch ", "ada ")) and " in " not in line]
    assert len(baselines) >= 4 and all("not judged" in line and "better" not in line for line in baselines)
    assert "true gap" in told["mini"] and "true gap" not in told["smoke"]


def test_what_is_not_told_apart_says_how_many_seeds_it_would_take(spec, results, mine):
    found = compare(spec, "mini", "mine", mine(level=60.0), results, "cpu")
    assert verdicts(found, "anime")["ada"] == "not told apart"
    (one,) = [one for one in found.standings[0].against if one.row == "ada"]
    pair = one.comparison
    df_a_seed = pair.df / (pair.n - 1)

    def critical(seeds):
        df = df_a_seed * (seeds - 1)
        return stats.studentized_range.ppf(0.95, 4, df) / math.sqrt(2), df

    expected = seeds_needed(math.log(pair.size), pair.sd, critical)
    assert one.needed.seeds == expected and one.needed.low <= expected
    words = f"{expected} ({one.needed.low} to" if expected else "over 1000"
    assert words in render(found) and "Seeds of either side that a true gap would need: 5 %: " in render(found)


def test_other_metrics_go_by_differences_upwards(spec, results, mine):
    found = compare(spec, "mini", "mine", mine(), results, "cpu", metric="recall")
    assert set(verdicts(found, "anime").values()) == {"better"}
    assert found.standings[0].rank == 1
    assert "ours - baseline" in render(found)


def test_a_diverged_method_has_no_rank(spec, results, run, snapshots, frame):
    ours = frame(run("mine", "anime", 0, snapshots((50, 0.5, 0.5))), run("mine", "anime", 1, {}, status="diverged"))
    found = compare(spec, "mini", "mine", ours, results, "cpu")
    assert found.standings[0].rank is None
    assert found.standings[0].ranks is None and "no rank: a seed diverged" in render(found)
    assert set(verdicts(found, "anime").values()) == {"a seed of ours diverged"}
    assert "†" in render(found) and "not compared: a seed of ours diverged" in render(found)


def test_text_and_markdown(spec, results, mine):
    found = compare(spec, "mini", "mine", mine(), results, "cpu")
    page, marked = render(found), render_markdown(found)
    assert page.startswith("mine against cpu: FD(effnet_lite0@96) in disp/table1 (scale mini)")
    assert "rank 3 of 4" in page and "3 paired" in page
    tables = 2 * (2 + 3)  # heads, a rule and three baselines in two data sets; the two data sets and their sum
    assert sum(line.startswith("|") for line in marked.splitlines()) == tables + 2 + 3


def test_mistakes_are_named(spec, results, mine):
    with pytest.raises(UserError, match="method 'other' has no finished"):
        compare(spec, "mini", "other", mine(), results)
    with pytest.raises(UserError, match="recorded set 'cpu' has no finished"):
        compare(spec, "mini", "mine", mine(), results.iloc[:0], "cpu")
    with pytest.raises(UserError, match="does not score 'kid'"):
        compare(spec, "mini", "mine", mine(), results, metric="kid")


def test_a_column_without_scores_of_ours_is_left_out(spec, results, mine):
    ours = mine()
    found = compare(spec, "mini", "mine", ours[ours["column"] == "faces"], results, "cpu")
    assert [standing.column for standing in found.standings] == ["faces"]


def test_a_recorded_copy_of_the_same_runs_is_no_baseline(spec, results):
    found = compare(spec, "mini", "ada", results, results, "cpu")
    for standing in found.standings:
        assert {baseline.row for baseline in standing.against} == {"scratch", "scratch+disp"}
        assert standing.of == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"extractor": "vgg16@32"}, "extractor effnet_lite0@96 against vgg16@32"),
        ({"n_generated": 500}, "2000 generated images against 500"),
        ({"n_reference": 50}, "1000 reference images against 50"),
        ({"reference_split": "training-images"}, "reference images of the test split against, the run's own training"),
        ({"extractor_sha256": "ab"}, "other weights of the extractor"),
        ({"reference_sha256": "ab"}, "other reference images"),
    ],
)
def test_another_protocol_is_refused_and_the_difference_named(spec, results, mine, change, words):
    ours = mine().assign(extractor_sha256="cd", reference_sha256="cd", reference_split="test")
    theirs = results.assign(extractor_sha256="cd", reference_sha256="cd", reference_split="test")
    ada = (theirs["row"] == "ada") & (theirs["column"] == "anime")
    for name, value in change.items():
        theirs.loc[ada, name] = value
    found = compare(spec, "mini", "mine", ours, theirs, "cpu")
    assert [(row, column) for row, column, _ in found.refused] == [("ada", "anime")] and words in found.refused[0][2]
    assert "ada" not in verdicts(found, "anime") and "ada" in verdicts(found, "faces")
    told = " ".join(render(found).split())
    assert f"Not compared, scored otherwise (ours first): ada in anime: {words}" in told
    trained = theirs["kind"] == "train"
    for name, value in change.items():
        theirs.loc[trained, name] = value
    with pytest.raises(UserError, match="no 'fd' of 'cpu' was scored as ours was: scratch in anime: ") as error:
        compare(spec, "mini", "mine", ours, theirs, "cpu")
    assert words in str(error.value)


def test_a_number_of_snapshots_is_told_and_not_refused(spec, results, mine):
    told = render(compare(spec, "mini", "mine", mine(), results, "cpu"))
    assert "scratch in anime: best of 1 against best of 2 snapshots" in " ".join(told.split())


@pytest.fixture
def spent(results, mine):
    """Hours of every run but ada's: DISP's cost the most; one row's are of another machine."""
    hours = {"mine": 2.0, "scratch": 1.0, "scratch+disp": 4.0, "control": 1.0}
    runs = pd.concat([mine(), results]).drop_duplicates("uid")
    runs = runs[runs["kind"] == "train"]
    return {line.uid: Spent(3600 * hours[line.row] + int(line.seed), "a <CPU> & 1 thread")
            for line in runs.itertuples() if line.row in hours}  # fmt: skip


def test_cost_stands_beside_the_score_where_it_was_measured_alone(spec, results, mine, spent):
    found = compare(spec, "mini", "mine", mine(), results, "cpu", spent=spent)
    for costs in found.costs:
        ((device, points),) = costs.devices.items()
        assert device == "a <CPU> & 1 thread"
        assert [(one.row, one.front) for one in points] == [("scratch", True), ("mine", True), ("scratch+disp", True)]
        assert points[0].cost.hours == pytest.approx(1 + 1 / 3600) and points[0].cost.n == 3
        assert costs.unmeasured == (("ada", "no measured hours in its record"),)
    dear = {uid: Spent(9e9, one.device) if uid.startswith("mine") else one for uid, one in spent.items()}
    found = compare(spec, "mini", "mine", mine(), results, "cpu", spent=dear)
    assert [one.row for one in found.costs[0].devices["a <CPU> & 1 thread"] if not one.front] == ["mine"]
    told = " ".join(render(found).split())
    assert "anime: measured cost on a <CPU> & 1 thread" in told and "nothing is estimated" in told
    assert "anime: without a measured cost: no measured hours in its record: ada." in told


def test_costs_of_two_machines_are_not_on_one_front(spec, results, mine, spent):
    moved = {uid: Spent(one.seconds, "GPU") if uid.startswith("scratch_") else one for uid, one in spent.items()}
    found = compare(spec, "mini", "mine", mine(), results, "cpu", spent=moved).costs[0]
    assert {device: [one.row for one in points] for device, points in found.devices.items()} == {
        "GPU": ["scratch"], "a <CPU> & 1 thread": ["mine", "scratch+disp"]}  # fmt: skip
    mixed = {uid: Spent(one.seconds, "GPU") if uid.endswith("s0") else one for uid, one in spent.items()}
    found = compare(spec, "mini", "mine", mine(), results, "cpu", spent=mixed)
    assert found.costs == ()


def test_csv_and_json_hold_it_all(spec, results, mine, spent):
    found = compare(spec, "mini", "mine", mine(level=60.0), results, "cpu", spent=spent)
    lines = pd.read_csv(io.StringIO(csv([found])))
    assert len(lines) == 6 and set(lines["baseline"]) == {"scratch", "scratch+disp", "ada"}
    told = json.loads(as_json([found], ["a remark"]))
    column = told["comparisons"][0]["columns"][0]
    for one, standing in zip(column["baselines"], found.standings[0].against, strict=True):
        line = lines[(lines["column"] == "anime") & (lines["baseline"] == one["row"])].iloc[0]
        assert one["verdict"] == line["verdict"] == standing.verdict
        assert one["comparison"]["size"] == line["size"] == standing.comparison.size
        assert (one["seeds_needed"] or {}).get("seeds") == (standing.needed.seeds if standing.needed else None)
    assert column["rank_interval"] == list(found.standings[0].ranks) and told["remarks"] == ["a remark"]
    diverged = mine()
    diverged.loc[diverged["seed"] == 0, ["status", "value"]] = ["diverged", math.nan]
    assert json.loads(as_json([compare(spec, "mini", "mine", diverged, results)]))["comparisons"][0]["columns"]
