"""Reading the records of a store: an absent record is None, a torn last line is left out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.errors import UserError


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a JSON-lines file, up to a torn line; none where the file is absent."""
    if not path.exists():
        return
    with path.open() as file:
        for line in file:
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                return


def read_bytes(path: Path | str) -> bytes:
    """What is in a file. A plan reads tens of thousands: a Path or a buffer of each would cost more than reading it."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        return file.read()


def is_file(path: str) -> bool:
    """Whether there is a file of that path, as text for the same reason."""
    return os.path.isfile(path)  # noqa: PTH113


def read_json(path: Path | str) -> Any:
    """The value in a JSON file, None where there is none. UserError for one that cannot be read."""
    try:
        return json.loads(read_bytes(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: is not readable JSON ({error}); move the run folder away and run again") from error
