"""What a leaderboard says of its entries, the same on a page for a browser and in Markdown."""

from __future__ import annotations

from bench.report.leaderboard import Entry, Ranking
from bench.report.render.cell_text import cell_text

HOW_TO_READ = (
    "Every recorded method, best first: the mean over its seeds with a 95 % interval, and the 95 % interval of its "
    "rank among all that stand with it. Methods whose ranks overlap may be as good as each other. What is ranked "
    "together was scored alike: the same images to compare with, as many of them, the same features. Controls are "
    "ours, not a paper's; floor and memorised are real images scored in place of generated ones, and have no rank."
)
KINDS = {"control": "control", "added": "own row", "reference": "reference point"}
UNKNOWN = "not recorded"


def heads(ranking: Ranking) -> list[str]:
    """The heads of a ranking's columns."""
    return ["method", "rank", ranking.score, *ranking.further, "recorded set", "commit", "hardware", "hours"]


def values(entry: Entry) -> list[str]:
    """What stands under the heads for an entry."""
    hours = UNKNOWN if entry.hours is None else f"{entry.hours:.2g}"
    if entry.kind == "reference":
        hours = "–"
    return [
        name_words(entry),
        entry.rank or "–",
        cell_text(entry.cell),
        *entry.others,
        ", ".join(entry.sets),
        ", ".join(entry.commits) or UNKNOWN,
        "; ".join(entry.machines) or UNKNOWN,
        hours,
    ]


def name_words(entry: Entry) -> str:
    """The label of an entry, with its row's id where that is another, and what it is if it is no paper's method."""
    kind = KINDS.get(entry.kind)
    name = entry.name if entry.label in (entry.name, "") else f"{entry.label.strip()} · {entry.name}"
    return f"{name} ({kind})" if kind else name


def printed_words(ranking: Ranking) -> str:
    """What the printed numbers beside a ranking are, and whether they can be compared with it."""
    whose = f"{ranking.printed_score} as the paper prints it, of its own runs"
    if ranking.comparable:
        return f"{whose} under this protocol; not ranked with ours:"
    return (
        f"{whose}: not ranked, and not comparable with the scores above, which are of other "
        "data, features or lengths of training:"
    )
