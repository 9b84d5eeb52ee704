"""The verdict on a claim: supported, contradicted or inconclusive, and why."""

from __future__ import annotations

from dataclasses import replace

from bench import stats
from bench.report.claims.by_print import by_print
from bench.report.claims.known import KnownTables
from bench.report.claims.numbers import Numbers
from bench.report.claims.questions import questions
from bench.report.claims.result import ClaimResult, Compared
from bench.report.claims.scores import Lack, Scores
from bench.report.claims.testing import Tester
from bench.report.claims.words import listed
from bench.spec.claim import Claim
from bench.spec.measures_to_come import MEASURES_TO_COME
from bench.stats import ALPHA, Evidence, holm

RANKS_NOTHING = "smoke"  # the scale whose numbers say nothing of the order of rows


def judge(claim: Claim, home: str, known: KnownTables, scores: Scores | None) -> ClaimResult:
    """The verdict on one claim that is told with table `home`; without scores what is printed alone.

    A claim is true if all of its comparisons hold. It is supported where each is shown with a p of at most .05, which
    for a statement about all needs no correction (an intersection-union test), and contradicted where the opposite of
    one is shown with a p of at most .05 after Holm's correction over all of them. Claims about at least so many columns
    are tested as such (bench.stats.joint). Anything else is inconclusive, and the reason names what is missing.
    """
    asked = questions(claim, home, known)
    stated = ClaimResult(
        claim.id, claim.text, "not judged", place=claim.place, note=claim.note,
        printed=by_print(questions(claim, home, known, whole=True), home, Numbers()),
        scores=frozenset(claim.metrics), rows=frozenset(claim.rows(home)),
    )  # fmt: skip
    if claim.waits_for in MEASURES_TO_COME:
        return replace(stated, verdict="waits", reason=f"waits for the measure {claim.waits_for}", untested=True)
    if not asked:
        return replace(stated, verdict="waits", reason=f"waits for the table {claim.table or home}", untested=True)
    if scores is None or scores.scale == RANKS_NOTHING:
        return replace(stated, untested=True)
    # Every comparison, and what they come to
    tester = Tester(home, scores)
    evidence = stats.every([tester.test(question.statement, question.about) for question in asked])
    compared = _adjusted(tester.compared)
    waiting = [lack for _, lack in tester.lacks if lack.waits]
    if waiting and not compared:
        return replace(stated, verdict="waits", reason=f"waits for {waiting[0].reason}", untested=True)
    return replace(
        stated,
        verdict=evidence.decide(),
        comparisons=compared,
        reason=_reason(evidence, compared, tester.lacks),
        untested=_is_untested(compared, tester.lacks),
    )


def _is_untested(compared: tuple[Compared, ...], lacks: list[tuple[str, Lack]]) -> bool:
    """Whether in no comparison a run of each side has ended."""
    found = [lack for _, lack in lacks]
    return not compared and any(lack.unrun for lack in found) and not any(lack.ran for lack in found)


def _lacking(lacks: list[tuple[str, Lack]]) -> list[str]:
    """What is missing, by column: "anime: no finished run of scratch, ada"."""
    rows: dict[tuple[str, str], list[str]] = {}
    for about, lack in lacks:
        rows.setdefault((about, lack.reason), []).append(lack.of)
    texts = []
    for (about, reason), of in rows.items():
        named = ", ".join(dict.fromkeys(filter(None, of)))
        joined = f" {named}" if reason.endswith(":") else f" of {named}"
        texts.append(f"{about + ': ' if about else ''}{reason}{joined if named else ''}")
    return texts


def _adjusted(compared: list[Compared]) -> tuple[Compared, ...]:
    """The comparisons with their p values Holm-adjusted over all of them."""
    adjusted = holm([one.p for one in compared])
    return tuple(replace(one, adjusted=p) for one, p in zip(compared, adjusted))


def _reason(evidence: Evidence, compared: tuple[Compared, ...], lacks: list[tuple[str, Lack]]) -> str:
    verdict = evidence.decide()
    if verdict == "contradicted":
        against = [one.where for one in compared if one.agrees is False and one.adjusted <= ALPHA]
        return f"the opposite holds in {listed(against)}" if against else "the opposite holds in too many columns"
    if verdict == "supported":
        whole = all(one.agrees for one in compared) and not lacks
        return "it is as claimed in every comparison" if whole else "it is as claimed in enough of the columns"
    if lacks:
        return (
            "nothing has been run"
            if _is_untested(compared, lacks)
            else f"not compared: {listed(_lacking(lacks), '; ')}"
        )
    if all(one.finding.df <= 0 for one in compared):
        return "one seed shows no spread; run at least two"
    return f"not separable in {listed([one.where for one in compared if not one.agrees])}"
