"""--json: one document on stdout for programs, and everything that is for people on stderr. Keys: docs/other-tools.md.

A verb that has it hands its document to `answer`, whatever else it prints. The first keys of every document are
`schema`, which is raised when a key goes or changes its meaning (new keys may come at any time), and `verb`.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from functools import wraps
from typing import Any, TypeVar

import click

SCHEMA = 1
Function = TypeVar("Function", bound=Callable[..., Any])
_KEY = "bench.cli.json_document"


def json_option(function: Function) -> Function:
    """--json; the verb is told by `as_json`, and its prints go to stderr then."""

    @wraps(function)
    def called(*arguments: Any, as_json: bool, **options: Any) -> Any:
        if not as_json:
            return function(*arguments, as_json=False, **options)
        with redirect_stdout(sys.stderr):
            status = function(*arguments, as_json=True, **options)
        context = click.get_current_context()
        click.echo(text({"schema": SCHEMA, "verb": context.info_name, **context.meta.pop(_KEY)}))
        return status

    option = click.option("--json", "as_json", is_flag=True, help="One JSON document; its keys: docs/other-tools.md.")
    return option(called)  # type: ignore[return-value]  # the function as click decorates it


def answer(**content: Any) -> None:
    """What the verb at work says in its document."""
    click.get_current_context().meta[_KEY] = content


def text(value: Any) -> str:
    """A JSON document; numbers that JSON lacks are null."""
    return json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False)


def plain(value: Any) -> Any:
    """The same value without what JSON lacks: NaN and infinity become null, tuples and sets lists."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
