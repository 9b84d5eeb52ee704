"""Renews what is generated in the project's pages: `make docs`, which is `python -m docs.generate`.

    python -m docs.generate --check                   # changes nothing; exit status 1 if a page is not current
    python -m docs.generate --measured results/runs   # takes up what `bench rehearse` has measured in that store

A generated part of a page stands between `<!-- generated: NAME ... -->` and `<!-- /generated -->`; NAME is a function
of docs/parts.py and what follows are its arguments. Everything else in a page is written by hand and left as it is.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from docs import draw_floors, parts, rehearsals

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(<!-- generated: (\w+)((?: \S+)*) -->\n).*?(<!-- /generated -->)", re.DOTALL)


def pages() -> list[Path]:
    """Every page that may have generated parts."""
    return [ROOT / "REPRODUCING.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def renewed(text: str) -> str:
    """A page's text with its generated parts made anew. Raises LookupError for a part that nothing makes."""

    def fill(match: re.Match[str]) -> str:
        begin, name, arguments, end = match.groups()
        make = parts.PARTS.get(name)
        if make is None:
            raise LookupError(f"nothing makes a part '{name}'; docs/parts.py has {', '.join(parts.PARTS)}")
        return f"{begin}\n{make(*arguments.split()).strip()}\n\n{end}"

    return BLOCK.sub(fill, text)


def contents() -> dict[Path, str]:
    """Every generated file, as it should be now."""
    current = {page: renewed(page.read_text()) for page in pages()}
    return {**current, draw_floors.PICTURE: draw_floors.picture(draw_floors.read_imports())}


def main() -> int:
    """Write what is not current, or with --check only name it."""
    parser = argparse.ArgumentParser(description="Renew the generated parts of the project's pages.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit status 1 if a page is old")
    parser.add_argument("--measured", type=Path, metavar="STORE", help="take up what was rehearsed there")
    arguments = parser.parse_args()
    if arguments.measured is not None:
        print(f"{rehearsals.take_up(arguments.measured)} measurements taken up from {arguments.measured}")
    old = {path: text for path, text in contents().items() if not path.exists() or path.read_text() != text}
    for path, text in old.items():
        state = "not current: run make docs" if arguments.check else "renewed"
        print(f"{path.relative_to(ROOT)}: {state}")
        if not arguments.check:
            path.write_text(text)
    return int(arguments.check and bool(old))


if __name__ == "__main__":
    sys.exit(main())
