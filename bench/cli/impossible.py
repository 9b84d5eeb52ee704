"""Saying what is impossible in a plan, with the place in the user's file, before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.errors import UserError
from bench.files.yamlfile import mistake
from bench.plan.preflight import Problem, problems
from bench.plan.runs import Plan


def print_problems(made: Plan, table: str, choice: dict[str, Any]) -> int:
    """Every problem as a line of its own; 2 where there is a mistake, 0 where things are merely absent here."""
    own = table.endswith((".yaml", ".yml")) or any(text.startswith("network") for text in choice["settings"])
    found = problems(made, deep=own or bool(choice["methods"]))  # what is shipped has been built by its tests
    for text in dict.fromkeys(one.text for one in found if one.absent):
        click.echo(f"missing: {text}")
    return _complain([one for one in found if not one.absent], made, table, choice)


def refuse_impossible(made: Plan, table: str, choice: dict[str, Any], *, here: bool = True) -> None:
    """Raise UserError for a plan that cannot be run; with several problems the others are printed before.

    here: whether this machine's packages and files are those that the runs will have.
    """
    found = [one for one in problems(made, deep=True) if here or not one.absent]
    mistakes = [one for one in found if not one.absent] or found
    if mistakes:
        _complain(mistakes[:-1], made, table, choice)
        raise UserError(_told(mistakes[-1], made, table, choice))


def _complain(found: list[Problem], made: Plan, table: str, choice: dict[str, Any]) -> int:
    for one in found:
        click.echo(f"bench: error: {_told(one, made, table, choice)}", err=True)
    return 2 if found else 0


def _told(problem: Problem, made: Plan, table: str, choice: dict[str, Any]) -> str:
    """The problem with the option, the file's line or the shipped table that it stands in."""
    inner = ".".join(map(str, problem.keys[2:])) if problem.keys[:1] == ("scales",) else ""
    for setting in choice["settings"]:
        key = setting.partition("=")[0].strip()
        if inner and (key == inner or inner.startswith(f"{key}.")):
            return f"--set {setting}: {problem.text}"
    if not problem.keys:
        return f"{made.table.name}: {problem.text}"
    if table.endswith((".yaml", ".yml")):
        return str(mistake(Path(table), problem.keys, problem.text))
    return f"{made.table.name}: {'.'.join(map(str, problem.keys))}: {problem.text}"
