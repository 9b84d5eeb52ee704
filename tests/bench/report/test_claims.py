"""Claims get the verdict of the truth, as a whole sentence, on results whose truth is known."""

from bench.plan.load import load_table
from bench.report.build import build_report
from bench.report.render import text


def test_claims_get_the_verdict_of_the_truth(spec, results):
    claims = {claim.id: claim for claim in build_report(spec, "mini", results).claims}
    assert {name: claim.verdict for name, claim in claims.items()} == {
        "helps": "supported",
        "hurts": "contradicted",
        "same": "inconclusive",
    }
    helps = claims["helps"].comparisons
    assert [comparison.column for comparison in helps] == ["anime", "faces"]
    assert all(
        comparison.low < 0.5 * 1.05 and comparison.high > 0.5 * 0.95 and comparison.paired for comparison in helps
    )
    assert all(comparison.adjusted >= comparison.p for comparison in helps)


def test_a_claim_holds_only_if_all_of_its_orders_do(table, simulated):
    """FD falls but precision is noise: no sentence about both is supported."""
    fd = {"lower": "scratch+disp", "higher": "scratch"}
    precision = {"lower": "scratch", "higher": "scratch+disp", "metric": "precision"}
    against = {"lower": "scratch", "higher": "ada"}
    claims = [
        {"id": "one", "text": "FD falls.", "orders": [fd]},
        {"id": "both", "text": "FD falls, precision rises.", "orders": [fd, precision]},
        {"id": "no", "text": "FD falls, and ADA's is higher.", "orders": [fd, against]},
        {"id": "two", "text": "Both fall.", "orders": [fd, {"lower": "ada", "higher": "scratch"}]},
    ]
    found = {claim.id: claim for claim in build_report(table(claims=claims), "mini", simulated()).claims}
    assert {name: claim.verdict for name, claim in found.items()} == {
        "one": "supported",
        "both": "inconclusive",
        "no": "contradicted",
        "two": "supported",
    }
    assert len(found["both"].comparisons) == 4 and "scratch < scratch+disp, precision" in found["both"].reason
    assert "anime (scratch < ada, FD(effnet_lite0@96))" in found["no"].reason
    assert found["both"].comparisons[0].adjusted > found["one"].comparisons[0].adjusted  # Holm's, over all four
    page = text.render(build_report(table(claims=claims), "mini", simulated()))
    assert "anime, scratch to scratch+disp, precision(effnet_lite0@96): difference" in " ".join(page.split())


def test_the_shipped_claims_test_their_whole_statement():
    for name, part in (("disp/table1", "disp"), ("dip/table1", "disp")):
        spec = load_table(name)
        claims = {claim.id: claim for claim in spec.claims}
        for row in ("scratch", "transfergan", "freezed", "diffaugment"):
            orders = {(o.lower, o.higher, o.metric) for o in claims[f"disp-improves-{row}"].orders}
            assert orders == {(f"{row}+{part}", row, "fd"), (row, f"{row}+{part}", "recall")}
        higher = {order.higher for order in claims["scratch-beats-transfer"].orders}
        assert higher == {"transfergan+disp", "freezed+disp"}
        baselines = {row.id for row in spec.rows if row.method and row.method.endswith("baseline") and not row.control}
        only = claims["beats-memorising"].orders
        assert {order.higher for order in only if order.lower == "memorised"} == baselines


def test_a_claim_without_its_runs_is_inconclusive(spec, table, simulated):
    half = simulated().query("column == 'anime' or row != 'scratch'")
    claims = {claim.id: claim for claim in build_report(spec, "mini", half).claims}
    assert claims["helps"].verdict == "inconclusive" and "faces" in claims["helps"].reason
    single = build_report(table(seeds=1), "mini", simulated(range(1))).claims
    assert {claim.verdict for claim in single} == {"inconclusive"}
    assert "at least two" in single[0].reason
