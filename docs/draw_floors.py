"""Draws docs/floors.svg: the floors of bench/ and which room imports which, read from the imports themselves.

    python -m docs.draw_floors      # writes the picture; `make docs` does it too

A room is a folder of bench/ or a file that lies loose in it. The floors are those that tests/bench/test_house_rules.py
holds every file to. The picture is a table: a mark where the room of the line imports the room of the column. Rooms
stand in the same order both ways, so that an import that goes down lies right of the diagonal, and one that went up
would lie left of it, as an orange cross.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
RULES = ROOT / "tests" / "bench" / "test_house_rules.py"
PICTURE = ROOT / "docs" / "floors.svg"
# What each floor is for, from the top; as many as there are floors.
SENTENCES = (
    "python -m bench",
    "the command line",
    "hands out runs; rehearses; checks methods",
    "brings a run to its record; tells",
    "steps; expands a table into runs",
    "what a measure sees of a finished run",
    "what a method must be; scores; checkpoints",
    "networks, extractors, records, images",
    "what can be written down; files; machine",
    "errors, paths, random streams",
)
# Okabe and Ito's colours, told apart by all kinds of colour vision; the marks differ in form as well.
DOWN, UP, BAND, INK = "#0072B2", "#D55E00", ("#F2F2F2", "#FFFFFF"), "#222222"
CELL, LEFT, TOP, MARGIN = 18, 400, 110, 12


@dataclass(frozen=True)
class Imports:
    """Which room imports which: (from, to), at the head of a file or inside functions only."""

    at_head: frozenset[tuple[str, str]]
    inside: frozenset[tuple[str, str]]


def constant(name: str) -> object:
    """A constant of the house-rule test."""
    for node in ast.parse(RULES.read_text()).body:
        if isinstance(node, ast.Assign) and any(ast.unparse(target) == name for target in node.targets):
            return ast.literal_eval(node.value)
    raise LookupError(f"{RULES} has no {name}")


def floors() -> tuple[tuple[str, ...], ...]:
    """The rooms of every floor, from the top."""
    rows = constant("FLOORS")
    assert isinstance(rows, tuple)
    return rows[::-1]


def read_imports(engine: Path = ROOT / "bench") -> Imports:
    """Every import of one room by another, in all files under `engine`."""
    homes = constant("OLD_HOMES")
    assert isinstance(homes, dict)
    rooms = {room for floor in floors() for room in floor}
    at_head: set[tuple[str, str]] = set()
    everywhere: set[tuple[str, str]] = set()
    for path in sorted(engine.rglob("*.py")):
        own = path.relative_to(engine).parts[0].removesuffix(".py")
        own = homes.get(own, own)
        if own == "__init__":
            continue  # the public names, which are looked up when they are asked for
        tree = ast.parse(path.read_text())
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        hidden = {id(node) for function in functions for node in ast.walk(function)}
        for node in ast.walk(tree):
            for module in _modules(node):
                room = homes.get(module, module)
                if room in rooms and room != own:
                    everywhere.add((own, room))
                    if id(node) not in hidden:
                        at_head.add((own, room))
    return Imports(frozenset(at_head), frozenset(everywhere - at_head))


def _modules(node: ast.AST) -> list[str]:
    """The rooms that an import names: bench.ROOM..., or ROOM of `from bench import ROOM`."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module:
        names = [f"{node.module}.{alias.name}" for alias in node.names]
    else:
        return []
    return [name.split(".")[1] for name in names if name.startswith("bench.")]


def picture(imports: Imports) -> str:
    """The picture as SVG. The same imports give the same text."""
    order = [room for floor in floors() for room in floor]
    place = {room: number for number, room in enumerate(order)}
    width, height = LEFT + CELL * len(order) + MARGIN, TOP + CELL * len(order) + 62
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="Helvetica, Arial, sans-serif" font-size="12" fill="{INK}">',
        "<title>The floors of bench/, and which room imports which</title>",
        f'<rect width="{width}" height="{height}" fill="#FFFFFF"/>',
        *_bands(width),
        *_grid(order),
    ]
    for pairs, filled in ((imports.at_head, True), (imports.inside, False)):
        for source, target in sorted(pairs, key=lambda pair: (place[pair[0]], place[pair[1]])):
            parts.append(_mark(place[source], place[target], filled, f"{source} imports {target}"))
    parts += _legend(TOP + CELL * len(order) + 24)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _bands(width: int) -> list[str]:
    """A band for each floor, with its number and what it is for."""
    lines, first = [], 0
    rows = floors()
    for number, rooms in enumerate(rows):
        y, tall = TOP + CELL * first, CELL * len(rooms)
        lines.append(f'<rect x="0" y="{y}" width="{width}" height="{tall}" fill="{BAND[number % 2]}"/>')
        middle = y + tall / 2 + 4
        lines.append(f'<text x="{MARGIN}" y="{middle:g}" font-weight="bold">{len(rows) - number}</text>')
        lines.append(f'<text x="{MARGIN + 18}" y="{middle:g}">{escape(SENTENCES[number])}</text>')
        first += len(rooms)
    return lines


def _grid(order: list[str]) -> list[str]:
    """The names of rooms at both edges, faint lines, and the diagonal."""
    lines, far = [], LEFT + CELL * len(order)
    for number, room in enumerate(order):
        y, x = TOP + CELL * number, LEFT + CELL * number
        lines.append(f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end">{room}</text>')
        lines.append(f'<text transform="translate({x + 13} {TOP - 6}) rotate(-60)">{room}</text>')
        lines.append(f'<path d="M{LEFT} {y}H{far}M{x} {TOP}V{TOP + CELL * len(order)}" stroke="#DDDDDD"/>')
        lines.append(f'<rect x="{x}" y="{y}" width="{CELL}" height="{CELL}" fill="#BBBBBB"/>')
    return lines


def _mark(row: int, column: int, filled: bool, words: str) -> str:
    x, y = LEFT + CELL * column + CELL / 2, TOP + CELL * row + CELL / 2
    if column < row:  # up: the house rules refuse it
        shape = f'<path d="M{x - 5:g} {y - 5:g}l10 10m0 -10l-10 10" stroke="{UP}" stroke-width="3">'
        return f"{shape}<title>{words}</title></path>"
    fill = DOWN if filled else "none"
    circle = f'<circle cx="{x:g}" cy="{y:g}" r="5" fill="{fill}" stroke="{DOWN}" stroke-width="1.5">'
    return f"{circle}<title>{words}</title></circle>"


def _legend(y: int) -> list[str]:
    x = MARGIN + 5
    return [
        f'<circle cx="{x}" cy="{y}" r="5" fill="{DOWN}" stroke="{DOWN}"/>',
        f'<text x="{x + 12}" y="{y + 4}">the line imports the column</text>',
        f'<circle cx="{x + 200}" cy="{y}" r="5" fill="none" stroke="{DOWN}" stroke-width="1.5"/>',
        f'<text x="{x + 212}" y="{y + 4}">only inside functions, so that starting is quick</text>',
        f'<path d="M{x - 5} {y + 15}l10 10m0 -10l-10 10" stroke="{UP}" stroke-width="3"/>',
        f'<text x="{x + 12}" y="{y + 24}">an import that goes up: there is none, a test refuses it</text>',
    ]


if __name__ == "__main__":
    PICTURE.write_text(picture(read_imports()))
