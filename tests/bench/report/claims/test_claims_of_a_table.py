"""Claims of a table get the verdict of the truth, as whole sentences, on results whose truth is known."""

import pytest

from bench.plan.load import load_table
from bench.report.build import build_report
from bench.report.claims.judge import judge
from bench.report.claims.known import KnownTables
from bench.report.claims.scores import Lack, Scores
from bench.report.render import text
from bench.spec.claim import Claim


def judged(table, results, claims, scale="mini", load=None, **changes):
    """The claims of a table by id: {id: relation} on results."""
    stated = [{"id": name, "text": f"{name}.", **relation} for name, relation in claims.items()]
    spec = table(claims=stated, **changes)
    scores = Scores(scale, load or (lambda name: Lack(f"the runs of {name} are not read here")), (spec, results))
    return {claim.id: judge(claim, spec.name, KnownTables(spec), scores) for claim in spec.claims}


def test_claims_get_the_verdict_of_the_truth(spec, results):
    claims = {claim.id: claim for claim in build_report(spec, "mini", results).claims}
    assert {name: claim.verdict for name, claim in claims.items()} == {
        "helps": "supported",
        "hurts": "contradicted",
        "same": "inconclusive",
    }
    helps = claims["helps"].comparisons
    assert [compared.about for compared in helps] == ["anime", "faces"]
    for compared in helps:
        found = compared.finding
        assert found.low < 0.5 * 1.05 and found.high > 0.5 * 0.95 and compared.paired
        assert compared.adjusted >= compared.p


def test_a_claim_holds_only_if_all_of_its_relations_do(table, simulated):
    """FD falls but precision is noise: no sentence about both is supported."""
    fd = {"order": ["scratch+disp", "scratch"]}
    precision = {"order": ["scratch", "scratch+disp"], "metric": "precision"}
    claims = {
        "one": fd,
        "both": {"all_of": [fd, precision]},
        "no": {"all_of": [fd, {"order": ["scratch", "ada"]}]},
        "two": {"order": [["scratch+disp", "ada"], "scratch"]},
    }
    found = judged(table, simulated(), claims)
    assert {name: claim.verdict for name, claim in found.items()} == {
        "one": "supported",
        "both": "inconclusive",
        "no": "contradicted",
        "two": "supported",
    }
    assert len(found["both"].comparisons) == 4 and "scratch < scratch+disp, precision" in found["both"].reason
    assert "anime, scratch < ada, FD(effnet_lite0@96)" in found["no"].reason
    assert found["both"].comparisons[0].adjusted > found["one"].comparisons[0].adjusted  # Holm's, over all four
    stated = [{"id": "both", "text": "Both.", **claims["both"]}]
    page = " ".join(text.render(build_report(table(claims=stated), "mini", simulated())).split())
    assert "anime, scratch < scratch+disp, precision(effnet_lite0@96): difference" in page


def test_a_claim_without_its_runs_is_inconclusive(spec, table, simulated):
    half = simulated().query("column == 'anime' or row != 'scratch'")
    claims = {claim.id: claim for claim in build_report(spec, "mini", half).claims}
    assert claims["helps"].verdict == "inconclusive" and "faces: no finished run of scratch" in claims["helps"].reason
    single = build_report(table(seeds=1), "mini", simulated(range(1))).claims
    assert {claim.verdict for claim in single} == {"inconclusive"}
    assert "at least two" in single[0].reason


# Scratch is near 120, the others near 60, memorised at 81.2; the last snapshot, at step 20, is 11 % above the best
@pytest.mark.parametrize(
    ("relation", "verdict"),
    [
        ({"order": ["memorised", "scratch"]}, "supported"),
        ({"order": [{"min": ["scratch", "ada"]}, "memorised"]}, "supported"),
        ({"order": [{"max": ["scratch", "ada"]}, "memorised"]}, "contradicted"),
        ({"order": ["memorised", {"max": ["scratch", "ada"]}]}, "supported"),
        ({"bound": {"of": "scratch", "above": 80}}, "supported"),
        ({"bound": {"of": "scratch", "below": 80}}, "contradicted"),
        ({"bound": {"of": {"over": ["scratch", "ada"]}, "above": 1.5}}, "supported"),
        ({"bound": {"of": {"minus": ["scratch", "ada"]}, "below": 20}}, "contradicted"),
        ({"alike": {"of": ["scratch+disp", "ada"], "within": 0.3}}, "supported"),
        ({"alike": {"of": ["scratch+disp", "ada"], "within": 0.001}}, "inconclusive"),
        ({"alike": {"of": ["scratch+disp", "scratch"], "within": 0.3}}, "contradicted"),
        ({"alike": {"of": ["scratch", "ada"], "within": 0.5, "by": "difference"}, "metric": "recall"}, "supported"),
        ({"bound": {"of": {"row": "scratch", "of": "spread"}, "below": 2}, "mean": True}, "supported"),
        ({"bound": {"of": {"row": "scratch", "of": "sd"}, "below": 0.01}}, "contradicted"),
        ({"count": {"best": "ada", "among": ["scratch", "memorised"], "at_least": 2}}, "supported"),
        ({"count": {"best": "scratch", "among": ["ada"], "at_least": 1}}, "contradicted"),
        ({"count": {"best": "ada", "among": ["scratch"], "only_in": ["anime"]}}, "contradicted"),
        ({"order": ["scratch+disp", "scratch"], "mean": True}, "supported"),
        ({"order": ["scratch+disp", "scratch"], "at_least": 2}, "supported"),
        # The last snapshot lies above the best, and each keeps its step
        ({"order": ["scratch", {"row": "scratch", "snapshot": "final"}]}, "supported"),
        ({"order": [{"row": "scratch", "snapshot": 0.4}, {"row": "scratch", "snapshot": "final"}]}, "supported"),
        ({"order": [{"row": "ada", "snapshot": "every"}, {"row": "scratch", "snapshot": "every"}]}, "supported"),
        ({"order": [{"row": "ada", "of": "steps"}, {"row": "ada", "of": "steps", "snapshot": "final"}]}, "supported"),
        ({"order": [{"row": "ada", "of": "minutes"}, {"row": "scratch", "of": "minutes"}]}, "supported"),
        ({"bound": {"of": {"row": "ada", "of": "error"}, "below": 1}}, "supported"),
        ({"bound": {"of": {"row": "ada", "of": "run_score"}, "above": 49}}, "supported"),
        ({"bound": {"of": {"row": "scratch", "of": "run_score"}, "above": 49}}, "inconclusive"),
    ],
)
def test_every_kind_of_operand(relation, verdict, table, simulated):
    results = simulated()
    results["train_seconds"] = results["row"].map({"ada": 60.0}).fillna(120.0) + results["seed"].astype(float)
    results["error"] = 0.5
    results["run_score"] = results["row"].map({"ada": "50.0", "scratch": ""}) + results["seed"].astype(str)
    results.loc[results["row"] == "scratch", "run_score"] = ""
    assert judged(table, results, {"c": relation})["c"].verdict == verdict


def test_a_row_that_is_printed_only_is_a_fixed_value_where_it_is_comparable(table, simulated):
    """The printed FIDs of BSA are comparable with ours on the paper's own Inception alone."""
    claims = {"below": {"order": ["scratch+disp", "bsa"]}}
    found = judged(table, simulated(), claims)["below"]
    assert found.verdict == "inconclusive"
    assert "printed only, on other data or features than ours: bsa" in found.reason
    ours = simulated(extractor="inception@299")
    changes = {"inception": "clean-fid", "scales": table(extractor="inception@299").model_dump()["scales"]}
    found = judged(table, ours, claims, "paper", **changes)["below"]
    assert [compared.what for compared in found.comparisons] == ["value", "value"]
    assert all("printed" in compared.where for compared in found.comparisons)


def test_another_table_is_read_when_a_claim_names_it(table, simulated):
    """dip/table1 has scratch at 30 here."""
    asked = []

    def load(name):
        asked.append(name)
        other = simulated()
        other.loc[other["row"] == "scratch", "value"] /= 4
        return table(name=name), other

    claims = {"cross": {"order": ["dip/table1/scratch", "scratch+disp"]}, "own": {"order": ["ada", "scratch"]}}
    found = judged(table, simulated(), claims, load=load)
    assert [claim.verdict for claim in found.values()] == ["supported", "supported"] and asked == ["dip/table1"]
    assert found["cross"].comparisons[0].where.startswith("anime, dip/table1 scratch < scratch+disp, FD")
    alone = judged(table, simulated(), claims)
    assert (alone["cross"].verdict, alone["own"].verdict) == ("inconclusive", "supported")
    assert "the runs of dip/table1 are not read here" in alone["cross"].reason
    lacking = judged(table, simulated(), claims, load=lambda name: Lack(f"scale mini of {name}", waits=True))
    assert lacking["cross"].reason == "waits for scale mini of dip/table1"
    nowhere = judged(table, simulated(), {"n": {"order": ["lt/nothing/base", "scratch"]}})["n"]
    assert (nowhere.verdict, nowhere.reason) == ("waits", "waits for the table lt/nothing")


def test_scores_of_different_features_or_versions_are_not_compared(table, simulated):
    def load(name):
        return table(name=name, extractor="vgg16@64"), simulated(extractor="vgg16@64")

    claims = {"cross": {"order": ["dip/table1/scratch+disp", "scratch"]}}
    found = judged(table, simulated(), claims, load=load)["cross"]
    assert (
        found.verdict == "inconclusive"
        and "scores of different versions, features, references or machines" in found.reason
    )


def test_a_diverged_seed_is_never_dropped(table, simulated):
    results = simulated()
    results.loc[(results["row"] == "scratch") & (results["seed"] == 0), "status"] = "diverged"
    claims = {"c": {"order": ["scratch+disp", "scratch"]}}
    found = judged(table, results, claims)["c"]
    assert found.verdict == "inconclusive" and "diverged at 1 of 3 seeds: scratch" in found.reason
    results.loc[results["row"] == "scratch", "status"] = "diverged"
    found = judged(table, results, claims)["c"]
    assert found.verdict == "supported" and {one.what for one in found.comparisons} == {"diverged"}
    page = " ".join(
        text.render(build_report(table(claims=[{"id": "c", "text": "C.", **claims["c"]}]), "mini", results)).split()
    )
    assert "one side diverged at all 3 seeds, the other at none" in page


EVALUATED = """
title: Samplers
seeds: 3
snapshot: best
metrics: [fd]
rows:
  - {id: plain, label: Plain, method: unconditional}
  - {id: pure, label: Pure, method: disp(prior=random), evaluate: {measure: rescore, sampling: pure}}
columns: [{id: shapes, label: Shapes}]
scales:
  mini:
    network: {name: sngan-32, options: {g_width: 8, d_width: 8, z_dim: 16, sn_generator: true}}
    train: {steps: 20, batch: 4, g_lr: 1.0e-3, d_lr: 1.0e-3}
    protocol: {name: tiny, version: 1, every: 10, metrics: [{name: fd, extractor: effnet_lite0@96}]}
    columns: {shapes: {data: {name: shapes, resolution: 32, shots: 16}, generated: 24, reference: 24}}
"""


def test_an_evaluation_is_compared_like_a_training_and_has_one_snapshot(tmp_path, run, frame):
    (tmp_path / "mine.yaml").write_text(EVALUATED)
    spec = load_table(str(tmp_path / "mine.yaml"))
    plain = [run("plain", "shapes", seed, {10: {"fd": 90 + seed}, 20: {"fd": 99 + seed}}) for seed in range(3)]
    pure = [run("pure", "shapes", seed, {10: {"fd": 40 + seed / 2}}, kind="evaluate") for seed in range(3)]
    results = frame(*plain, *pure)
    results["measure"] = results["row"].map({"pure": "rescore", "plain": ""})
    stated = {
        "lower": {"order": ["pure", "plain"]},
        "final": {"order": [{"row": "pure", "snapshot": "final"}, "plain"]},
    }
    claims = [Claim.model_validate({"id": name, "text": "It is.", **relation}) for name, relation in stated.items()]
    scores = Scores("mini", lambda name: Lack(name), (spec, results))
    lower, final = (judge(claim, "mine", KnownTables(spec), scores) for claim in claims)
    assert lower.verdict == "supported" and len(lower.comparisons) == 1
    assert final.reason == "not compared: shapes: an evaluation, whose snapshot is its own, not 'final': pure"


def test_a_score_that_a_table_lacks_is_waited_for(table, simulated):
    found = judged(table, simulated(), {"c": {"order": ["ada", "scratch"], "metric": "ct"}})["c"]
    assert (found.verdict, found.reason) == ("waits", "waits for 'ct', which disp/table1 does not score at scale mini")
