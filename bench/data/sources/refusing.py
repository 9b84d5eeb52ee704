"""Whatever a library raises for a damaged container, as one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.data.sources.names import shown
from bench.errors import UserError
from bench.files.inert_pickle import Damaged, Refused, failure

MOST_LETTERS = 200  # of a library's own message


@contextmanager
def refusing(where: str | Path, kind: str) -> Iterator[None]:
    """Every exception raised inside becomes a UserError. kind: what `where` should have been."""
    try:
        yield
    except (UserError, Refused, Damaged) as error:
        raise failure(str(where), error, kind) from error
    except Exception as error:  # a damaged file raises nearly anything
        raise failure(str(where), Damaged(first_line(error)), kind) from error


def first_line(error: Exception) -> str:
    """An exception's message, short and on one line; its type where it has none."""
    lines = str(error).splitlines()
    return shown(lines[0][:MOST_LETTERS]) if lines else type(error).__name__
