"""The exceptions for a user's mistake, which the command line turns into one line and exit status 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class UserError(Exception):
    """A mistake that the user can put right.

    The message names the input, what is wrong with it and what would be right.
    details: further lines, one for each of many mistakes.
    """

    def __init__(self, message: str = "", details: Sequence[str] = ()) -> None:
        super().__init__("\n".join((message, *details)))
        self.details = tuple(details)


class RuleError(ValueError):
    """A broken rule over several keys of a model that is read from a file; `key` is the one to change."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A clause that suggests the nearest known name, or lists the known ones when none is near.

    >>> did_you_mean("difaugment", ["diffaugment", "disp"])
    "did you mean 'diffaugment'?"
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"known: {', '.join(names) or 'none'}"
