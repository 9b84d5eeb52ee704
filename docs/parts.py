"""The generated parts of the project's pages by name: from tables, records, registries, imports and the Makefile."""

from __future__ import annotations

import ast
import html
import json
from collections.abc import Callable
from pathlib import Path

from bench.features.known import OURS
from bench.features.weights import UserWeights
from bench.metrics.measures import measure, measures
from bench.paths import recorded_root
from bench.report import leaderboard as board
from bench.report.render import leaderboard_markdown
from docs import cost_parts, data_parts, draw_floors, id_parts, rehearsals, table_parts
from docs.grid import grid

ROOT = Path(__file__).resolve().parent.parent


def rehearsal() -> str:
    """One real step of every configuration at paper scale."""
    return rehearsals.text()


def rates(file: str) -> str:
    """The steps a second that `make gpu-check` measured on a card."""
    measured = json.loads((ROOT / "docs" / "reproduce" / "devices" / file).read_text())["parts"]["rates"]
    body = []
    for name in sorted({key.rpartition(", ")[0] for key in measured}):
        ours, plain = (measured.get(f"{name}, {who}", {}) for who in ("ours", "plain"))
        if "steps_per_second" not in ours:
            continue  # cut off by the time of that part
        network, precision = name.split(", ")
        beside = "steps_per_second" in plain
        body.append((
            f"{network}, {ours['batch']}", ours["method"], precision, f"{ours['steps_per_second']:.2f}",
            f"{ours['images_per_second']:.0f}", f"{ours['peak_gb']:.2f}",
            f"{plain['steps_per_second']:.1f}" if beside else "-", f"{plain['peak_gb']:.2f}" if beside else "-",
            f"{ours['steps_per_second'] / plain['steps_per_second']:.2f}" if beside else "-",
        ))  # fmt: skip
    heads = (
        "network, batch", "method", "precision", "ours, steps/s", "images/s", "peak GB", "plain loop, steps/s",
        "peak GB", "ours / plain",
    )  # fmt: skip
    return grid(heads, body)


def scores() -> str:
    """Every score that ships, as its card has it."""
    body = []
    for known in measures():
        card = measure(known.name)
        neighbours = str(card.default_k) if card.default_k is not None else ""
        summary = html.escape(card.summary, quote=False)
        body.append((f"`{card.name}`", summary, card.better, card.compared, neighbours, str(card.version)))
    return grid(("score", "what it is", "better", "compared by", "k", "version"), sorted(body))


def rooms() -> str:
    """Every floor of bench/ with its rooms, each in the words of its own first line."""
    body = []
    floors = draw_floors.floors()
    for number, floor in enumerate(floors):
        for room in floor:
            path = ROOT / "bench" / room
            file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
            first = (ast.get_docstring(ast.parse(file.read_text())) or "").splitlines()[0]
            body.append((str(len(floors) - number), f"`{room}{'/' if path.is_dir() else '.py'}`", first))
    return grid(("floor", "room", "what it is for"), body)


def extractors() -> str:
    """Every extractor: what it is, what is read of it, and the file that a user supplies, if it takes one."""
    body = []
    for card in sorted(OURS, key=lambda known: known.name):
        file = f"`{card.weights.file}`" if isinstance(card.weights, UserWeights) else "in a package"
        sizes = card.sizes
        size = str(sizes.default) + (f" ({sizes.least} to {sizes.most})" if sizes.least < sizes.most else "")
        body.append((f"`{card.name}`", card.network, card.layer, str(card.dim), size, file, card.licence))
    return grid(("name", "network", "layer", "width", "pixels", "weights", "licence"), body)


def targets() -> str:
    """What make can do: every target with the comment above it."""
    lines = (ROOT / "Makefile").read_text().splitlines()
    known = next(line for line in lines if line.startswith(".PHONY:")).split()[1:]
    body = []
    for target in known:
        place = next(number for number, line in enumerate(lines) if line.startswith(f"{target}:"))
        above: list[str] = []
        while lines[place - 1].startswith("#"):
            place -= 1
            above.insert(0, lines[place].removeprefix("#").strip())
        body.append((f"`make {target}`", " ".join(above)))
    return grid(("command", "what it does"), body)


def leaderboard() -> str:
    """The rankings of the recorded sets that ship."""
    return leaderboard_markdown.render(board.leaderboard(recorded_root()), level=3)


PARTS: dict[str, Callable[..., str]] = {
    part.__name__: part
    for part in (
        table_parts.tables,
        table_parts.settings,
        table_parts.declared,
        table_parts.claims,
        table_parts.recorded,
        table_parts.recorded_curve,
        id_parts.every_id,
        data_parts.embedded_sets,
        data_parts.published_sets,
        cost_parts.cost_cards,
        cost_parts.cost_points,
        cost_parts.cost_counted,
        rehearsal,
        rates,
        leaderboard,
        scores,
        rooms,
        extractors,
        targets,
    )
}
