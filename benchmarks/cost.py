"""Makes the figures of `bench plan --scale paper` and `midi`: the work of each training's step, and each card's rates.

    python -m benchmarks.cost           # writes bench/plan/cost/steps.json and cards.json
    python -m benchmarks.cost --check   # changes nothing; exit status 1 if a file is not current

The steps are counted (benchmarks.cost_steps). The rates are fitted to measured steps: the printed hours of FastGAN's
Table 1 on an RTX 2080 Ti, and what `benchmarks.gpu` has measured of our networks on other cards
(docs/reproduce/devices).
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import nnls

from bench.paths import recorded_root
from bench.plan.cost.model import CARDS
from bench.plan.cost.steps import STEPS
from bench.plan.cost.work import Work
from bench.plan.load import load_table
from benchmarks import cost_steps
from benchmarks.gpu_speed import RATES
from benchmarks.steps import run_spec

DEVICES = Path("docs/reproduce/devices")
PRECISION = "float32"  # that all tables train in
# The rehearsed configurations that tell what the methods of benchmarks.gpu_speed add on these networks
ADDED = {"fastgan-256": "fastgan256", "stylegan2-256": "fastgan-stylegan2-256"}
# Steps that benchmarks.gpu measured until that day, where it measures others by now: FastGAN's had neither DiffAugment
# nor shared fakes.
UNTIL = "2026-11-26"
BEFORE = {"fastgan-256": RATES["fastgan-256"]._replace(method="sle + ae-d(loss=l1)", train={})}
PRINTED = "FastGAN's Table 1: hours for 10,000 iterations at batch 8"


class Point(NamedTuple):
    """A measured step."""

    what: str
    work: Work
    seconds: float


def _point(what: str, work: Work, seconds: float) -> Point:
    return Point(what, Work(*map(_rounded, work)), _rounded(seconds))


def printed_points() -> list[Point]:
    """The ten steps of FastGAN's Table 1, with the work of our networks."""
    with (recorded_root() / "paper" / "sle-table1.csv").open() as file:
        lines = [line for line in csv.DictReader(file) if line["metric"] == "hours_per_10k"]
    table = load_table("sle/table1")
    rows, columns = {row.id: row for row in table.rows}, {column.id: column for column in table.columns}
    points = []
    for line in lines:
        spec = table.run_spec(rows[line["row"]], columns[line["column"]], 0, "paper")
        step = cost_steps.counted(spec, cost_steps.addition_of(spec))
        assert step.work is not None
        seconds = float(line["value"]) * 3600 / 10_000
        points.append(_point(f"{line['row']}, {line['column']} px", step.work, seconds))
    return points


def device_points(file: Path) -> list[Point]:
    """The steps of our networks that `benchmarks.gpu` has measured on a card, in the precision of the tables."""
    rates = json.loads(file.read_text())["parts"]["rates"]
    added = {one.configuration: one for one in cost_steps.additions()}
    points = []
    for network, case in (RATES | (BEFORE if file.name[: len(UNTIL)] <= UNTIL else {})).items():
        record = rates.get(f"{network}, {PRECISION}, ours", {})
        if "steps_per_second" not in record:
            continue
        step = cost_steps.counted(run_spec(network, case), added.get(ADDED.get(network, "")))
        assert step.work is not None
        points.append(_point(network, step.work, 1 / record["steps_per_second"]))
    return points


def measured_points() -> dict[str, tuple[str, str, list[Point]]]:
    """Card -> its name, where its steps were measured, and the steps."""
    found = {"2080ti": ("RTX 2080 Ti", PRINTED, printed_points())}
    for file in sorted(DEVICES.glob("*.json")):
        card = json.loads(file.read_text())["parts"]["facts"]["card"]
        name = card.removeprefix("NVIDIA ").split()[0]
        found[name.lower()] = (name, f"benchmarks.gpu, {file.name}", device_points(file))
    return found


def all_of(work: Work) -> list[float]:
    """The model's terms: 1, TFLOP, GB."""
    return [1.0, work.tflop, work.gigabytes]


def fit(points: list[Point], terms: Callable[[Work], list[float]] = all_of) -> np.ndarray:
    """Coefficients, none below 0, with the least sum of squared relative errors."""
    relative = np.array([[term / point.seconds for term in terms(point.work)] for point in points])
    return nnls(relative, np.ones(len(points)))[0]


def ratios(points: list[Point], terms: Callable[[Work], list[float]] = all_of) -> np.ndarray:
    """Predicted over measured seconds of each point."""
    coefficients = fit(points, terms)
    return np.array([coefficients @ terms(point.work) / point.seconds for point in points])


def left_out_ratios(points: list[Point], terms: Callable[[Work], list[float]] = all_of) -> np.ndarray:
    """Predicted over measured seconds of each point, by a fit to the others."""
    fits = [fit([*points[:i], *points[i + 1 :]], terms) for i in range(len(points))]
    return np.array([own @ terms(point.work) / point.seconds for own, point in zip(fits, points, strict=True)])


def rms(values: np.ndarray) -> float:
    """The root of the mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def operations_alone(work: Work) -> list[float]:
    """The term of the rule that this model replaces: operations at a share of the peak."""
    return [work.tflop]


def without_bytes(work: Work) -> list[float]:
    """A constant and the operations."""
    return [1.0, work.tflop]


def card_row(name: str, source: str, points: list[Point]) -> dict[str, Any]:
    """What cards.json keeps of a card: coefficients, errors, and the steps that they were fitted to."""
    constant, per_tflop, per_gigabyte = fit(points)
    alone = left_out_ratios(points)
    figures = {
        "constant": constant, "per_tflop": per_tflop, "per_gigabyte": per_gigabyte,
        "error": rms(ratios(points) - 1), "left_out_error": rms(alone - 1), "log_error": rms(np.log(alone)),
        "error_without_bytes": rms(ratios(points, without_bytes) - 1),
        "error_of_operations_alone": rms(ratios(points, operations_alone) - 1),
    }  # fmt: skip
    rounded = {key: _rounded(value) for key, value in figures.items()}
    steps = [[point.what, *point.work, point.seconds] for point in points]
    return {"name": name, "source": source, **rounded, "steps": steps}


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def contents() -> dict[Path, str]:
    """Each file as it should be now."""
    cards = {short: card_row(*measured) for short, measured in measured_points().items()}
    return {file: _text(rows) for file, rows in ((STEPS, cost_steps.rows()), (CARDS, cards))}


def _text(rows: dict[str, dict[str, Any]]) -> str:
    return "{\n" + ",\n".join(f" {json.dumps(key)}: {json.dumps(row)}" for key, row in rows.items()) + "\n}\n"


def main() -> int:
    """Write what is not current, or with --check only name it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit status 1 if a file is old")
    check = parser.parse_args().check
    old = {path: text for path, text in contents().items() if not path.exists() or path.read_text() != text}
    for path, text in old.items():
        print(f"{path.name}: {'not current: run python -m benchmarks.cost' if check else 'renewed'}")
        if not check:
            path.write_text(text)
    return int(check and bool(old))


if __name__ == "__main__":
    sys.exit(main())
