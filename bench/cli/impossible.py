"""Prints what is impossible in a plan, with the place in the user's file, before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.errors import UserError
from bench.files.yamlfile import mistake
from bench.plan.preflight import Problem, problems
from bench.plan.runs import Plan


def print_problems(plan: Plan, table: str, choice: dict[str, Any]) -> int:
    """Print each problem on its own line; returns 2 if one is a mistake, 0 if things are merely absent here."""
    own = table.endswith((".yaml", ".yml")) or any(text.startswith("network") for text in choice["settings"])
    # Shipped tables are not built again: their tests have built them
    plan_problems = problems(plan, deep=own or bool(choice["methods"]))
    for text in dict.fromkeys(problem.text for problem in plan_problems if problem.absent):
        click.echo(f"missing: {text}")
    return _complain([problem for problem in plan_problems if not problem.absent], plan, table, choice)


def refuse_impossible(plan: Plan, table: str, choice: dict[str, Any], *, here: bool = True) -> None:
    """Raise UserError for a plan that cannot be run; if it has several problems, the others are printed first.

    here: whether this machine's packages and files are those that the runs will have.
    """
    plan_problems = [problem for problem in problems(plan, deep=True) if here or not problem.absent]
    mistakes = [problem for problem in plan_problems if not problem.absent] or plan_problems
    if mistakes:
        _complain(mistakes[:-1], plan, table, choice)
        raise UserError(_placed(mistakes[-1], plan, table, choice))


def _complain(listed: list[Problem], plan: Plan, table: str, choice: dict[str, Any]) -> int:
    for problem in listed:
        click.echo(f"bench: error: {_placed(problem, plan, table, choice)}", err=True)
    return 2 if listed else 0


def _placed(problem: Problem, plan: Plan, table: str, choice: dict[str, Any]) -> str:
    """The problem's text behind its place: the --set option, the file and line, or the shipped table."""
    inner = ".".join(map(str, problem.keys[2:])) if problem.keys[:1] == ("scales",) else ""
    for setting in choice["settings"]:
        key = setting.partition("=")[0].strip()
        if inner and (key == inner or inner.startswith(f"{key}.")):
            return f"--set {setting}: {problem.text}"
    if not problem.keys:
        return f"{plan.table.name}: {problem.text}"
    if table.endswith((".yaml", ".yml")):
        return str(mistake(Path(table), problem.keys, problem.text))
    return f"{plan.table.name}: {'.'.join(map(str, problem.keys))}: {problem.text}"
