"""What a score cost: the measured hours of the runs behind it, on a named device, and which rows none beats in both.

Hours are those that a run's record has of its whole training, its snapshots' scoring included. Nothing is estimated: a
row without them is listed as such, and rows are compared on one device alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from bench.report.frame import of_evaluations
from bench.report.making import Making, machine_words
from bench.report.origins import ENDED
from bench.report.recorded import kept_making, recorded_sets
from bench.store.runs import RunFolder, Store

SEVERAL = "several devices"


@dataclass(frozen=True)
class Spent:
    """The seconds of one run, and what it ran on ("2 x NAME" for two); "" where its record does not say."""

    seconds: float
    device: str

    @property
    def hours(self) -> float:
        """As the clock has it, of all its devices at once."""
        return self.seconds / 3600


@dataclass(frozen=True)
class Cost:
    """The hours of a cell's runs on one device: their mean, the least and the most, and of how many seeds."""

    device: str
    hours: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Point:
    """A row's score and cost; front: no other row on this device costs at most as much and is as good, by means."""

    row: str
    score: float
    loss: float
    cost: Cost
    front: bool = False


@dataclass(frozen=True)
class ColumnCosts:
    """The rows of a column that have measured costs, by device, the cheapest first; the others with the reason."""

    column: str
    devices: Mapping[str, tuple[Point, ...]]
    unmeasured: tuple[tuple[str, str], ...]


def spent_by(results: pd.DataFrame, store: Store) -> dict[str, Spent]:
    """What the trainings among results cost, by uid: from the store's records, else from what recorded sets keep."""
    runs = results[(results["kind"] == "train") & results["status"].isin(ENDED) & ~of_evaluations(results)]
    found: dict[str, Spent] = {}
    kept: dict[str, Making] = {}  # by recorded set, whose folder may have been renamed since
    known = recorded_sets()
    for uid, origin, seconds in runs.drop_duplicates("uid")[["uid", "origin", "train_seconds"]].itertuples(index=False):
        if origin == "runs":
            found[uid] = Spent(float(seconds or 0.0), device_of(store.folder(uid)))
            continue
        name = str(origin).removeprefix("recorded:")
        if name not in kept:
            kept[name] = kept_making(name) if name in known else Making()
        if (run := kept[name].get(uid)) is not None:
            found[uid] = Spent(float(run["seconds"]), run["machine"])
    return {uid: spent for uid, spent in found.items() if spent.seconds > 0}


def device_of(folder: RunFolder) -> str:
    """The device of a run by its record; `SEVERAL` where its starts differ, "" where none is named.

    A start of before devices were recorded was on the CPU where no GPU was there, and is of no known device else.
    """
    starts = {machine_words(start) if start.get("device") or not start.get("gpus") else "" for start in folder.starts()}
    return starts.pop() if len(starts) == 1 else SEVERAL if starts else ""


def cost_of(uids: Sequence[str], spent: Mapping[str, Spent]) -> Cost | str:
    """The cost of a cell's runs, or why it has none, in words."""
    known = [spent[uid] for uid in uids if uid in spent]
    if not known:
        return "no measured hours in its record"
    devices = {one.device for one in known}
    if SEVERAL in devices or len(devices) > 1:
        return "its runs were on several devices"
    if devices == {""}:
        return "hours without the name of a device"
    hours = [one.hours for one in known]
    return Cost(devices.pop(), sum(hours) / len(hours), min(hours), max(hours), len(hours))


def column_costs(
    column: str, rows: Mapping[str, tuple[float, float]], runs: Mapping[str, Sequence[str]], spent: Mapping[str, Spent]
) -> ColumnCosts:
    """The costs of a column. rows: of each its score and its loss (the smaller, the better); runs: its uids."""
    points: dict[str, list[Point]] = {}
    unmeasured: list[tuple[str, str]] = []
    for row, (score, loss) in rows.items():
        cost = cost_of(runs.get(row, ()), spent)
        if isinstance(cost, str):
            unmeasured.append((row, cost))
        else:
            points.setdefault(cost.device, []).append(Point(row, score, loss, cost))
    return ColumnCosts(column, {device: _fronted(found) for device, found in points.items()}, tuple(unmeasured))


def _fronted(points: Sequence[Point]) -> tuple[Point, ...]:
    """The points with those marked that no other one is as good as in both, and better in one."""
    made = [
        Point(one.row, one.score, one.loss, one.cost, front=not any(_beats(other, one) for other in points))
        for one in points
    ]
    return tuple(sorted(made, key=lambda one: (one.cost.hours, one.loss)))


def _beats(one: Point, other: Point) -> bool:
    pairs = ((one.cost.hours, other.cost.hours), (one.loss, other.loss))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
