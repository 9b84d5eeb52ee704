"""Where the pictures and the assets of a page lie: inside it, or in files beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from markupsafe import Markup

from bench.files import atomic
from bench.report.html.environment import ASSETS, asset
from bench.report.pictures import Picture


class Files(Protocol):
    """How a page refers to what is no text."""

    def picture(self, name: str, picture: Picture) -> str:
        """The address of a picture; `name` has no suffix and is unique on its page."""
        ...

    def head(self) -> Markup:
        """The elements of a page's head that bring the style sheet and the script."""
        ...


class Inside:
    """Everything inside the page."""

    def picture(self, name: str, picture: Picture) -> str:
        """A data URI."""
        return picture.data_uri

    def head(self) -> Markup:
        """The texts themselves, which are this project's own."""
        style, script = (asset(name) for name in ASSETS)
        return Markup(f"<style>\n{style}</style>\n<script>\n{script}</script>")


class Beside:
    """Pictures in a folder named after the page, style and script shared by all pages of `root`."""

    def __init__(self, root: Path, page: str) -> None:
        self.root, self.page = root, page

    def picture(self, name: str, picture: Picture) -> str:
        """A file, written now."""
        atomic.write_bytes(self.root / self.page / f"{name}.png", picture.png)
        return f"{self.page}/{name}.png"

    def head(self) -> Markup:
        """Links to the two files that `write_assets` writes."""
        style, script = ASSETS
        return Markup(f'<link rel="stylesheet" href="{style}">\n<script src="{script}" defer></script>')


def write_assets(root: Path) -> None:
    """The style sheet and the script, beside the pages."""
    for name in ASSETS:
        atomic.write_text(root / name, asset(name))
