"""The project file: a user's settings, written once instead of in every command.

`bench.toml`, or `[tool.bench]` in pyproject.toml, of the current folder or of the nearest folder above it:

    plugins = ["mirror.py"]
    store = "runs"
    recorded = "recorded"            # one folder or a list
    profile = "my-site.yaml"
    scale = "mini"
    notify = "https://..."           # a webhook, told of the end of commands and of failures
    [rows]
    mine = "mirror + disp"           # label = method expression

Relative paths start from the file's folder. The command line comes first, then the environment, then this file.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator

from bench.errors import UserError
from bench.files.yamlfile import first_problem
from bench.spec.own_rows import LABEL
from bench.spec.run import Frozen
from bench.spec.table import Scale

NAME = "bench.toml"


class ProjectSettings(Frozen):
    """The keys of a project file."""

    plugins: tuple[str, ...] = ()
    rows: dict[str, str] = Field(default_factory=dict)
    store: str | None = Field(default=None, min_length=1)
    recorded: tuple[str, ...] = ()
    profile: str | None = Field(default=None, min_length=1)
    scale: Scale | None = None
    notify: str | None = Field(default=None, min_length=1, repr=False)

    @field_validator("recorded", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("rows")
    @classmethod
    def _labels(cls, value: dict[str, str]) -> dict[str, str]:
        for label in value:
            if not LABEL.fullmatch(label):
                raise ValueError(f"label '{label}': letters, digits, spaces and + . _ - alone make a label")
        return value


@dataclass(frozen=True)
class ProjectFile:
    """A project file, with its relative paths resolved."""

    path: Path
    settings: ProjectSettings

    @property
    def plugins(self) -> list[Path]:
        """The plug-in files, from the file's folder."""
        return [self._whole(path) for path in self.settings.plugins]

    @property
    def rows(self) -> dict[str, str]:
        """Label -> method expression."""
        return self.settings.rows

    @property
    def store(self) -> Path | None:
        """The folder of the runs; None where it is not named."""
        return self._whole(self.settings.store) if self.settings.store is not None else None

    @property
    def recorded(self) -> list[Path]:
        """Folders of recorded sets."""
        return [self._whole(folder) for folder in self.settings.recorded]

    @property
    def profile(self) -> str | None:
        """The path of a profile, or the name of a shipped one as it is written."""
        profile = self.settings.profile
        is_file = profile is not None and profile.endswith((".yaml", ".yml"))
        return str(self._whole(profile)) if profile is not None and is_file else profile

    @property
    def scale(self) -> Scale | None:
        """The scale of verbs that are given none; None where it is not named."""
        return self.settings.scale

    @property
    def notify(self) -> str | None:
        """The address of a webhook; None where it is not named."""
        return self.settings.notify

    def _whole(self, path: str) -> Path:
        return self.path.parent / Path(path).expanduser()

    def __str__(self) -> str:
        """The file and its settings, in one line."""
        shown = {key: "(an address)" if key == "notify" else value for key, value in self.settings if value}
        parts = [f"{key} {', '.join(value) if isinstance(value, tuple | dict) else value}"
                for key, value in shown.items()]  # fmt: skip
        return f"{self.path} ({'; '.join(parts) or 'empty'})"


def project_file(start: Path | None = None) -> ProjectFile | None:
    """The project file in force in a folder (the current one), or None. Raises UserError naming file and key."""
    folder = (start or Path.cwd()).absolute()
    for place in (folder, *folder.parents):
        sections = [(path, value) for path in (place / NAME, place / "pyproject.toml")
                 if (value := _section(path)) is not None]  # fmt: skip
        if len(sections) > 1:
            raise UserError(f"{sections[0][0]} and [tool.bench] of {sections[1][0]} are two project files; keep one")
        if sections:
            return ProjectFile(sections[0][0], _validated(*sections[0]))
    return None


def _section(path: Path) -> Any:
    """The settings for bench in a file; None if it has none."""
    if not path.is_file():
        return None
    try:
        value = _toml(path.read_bytes())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is not TOML: {error}") from error
    if path.name == NAME:
        return value
    tool = value.get("tool")
    return tool.get("bench") if isinstance(tool, dict) else None


@cache
def _toml(content: bytes) -> Any:
    """What a file says. It is asked for by every table of a plan, and nobody changes the value."""
    return tomllib.loads(content.decode())


def _validated(path: Path, value: Any) -> ProjectSettings:
    where = "" if path.name == NAME else "tool.bench."
    if not isinstance(value, dict):
        raise UserError(f"{path}: tool.bench: must be a table of keys")
    try:
        return ProjectSettings.model_validate(value)
    except ValidationError as error:
        keys, message = first_problem(ProjectSettings, error)
        raise UserError(f"{path}: {where}{'.'.join(map(str, keys))}: {message}") from error
