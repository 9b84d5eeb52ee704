"""Prints what is impossible in a plan, with the place in the user's file, before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.errors import UserError
from bench.files.yamlfile import mistake
from bench.plan.joint import JointPlan
from bench.plan.preflight import Problem, problems
from bench.plan.runs import Plan


def print_problems(plan: Plan | JointPlan, table: str, choice: dict[str, Any]) -> int:
    """Print each problem on its own line; returns 2 if one is a mistake, 0 if things are merely absent here."""
    own = table.endswith((".yaml", ".yml")) or any(text.startswith("network") for text in choice["settings"])
    # Shipped tables are not built again: their tests have built them
    found = _found(plan, deep=own or bool(choice["methods"]), build=False)
    for text in dict.fromkeys(problem.text for _, problem in found if problem.absent):
        click.echo(f"missing: {text}")
    return _complain([(name, problem) for name, problem in found if not problem.absent], table, choice)


def refuse_impossible(plan: Plan | JointPlan, table: str, choice: dict[str, Any], *, here: bool = True) -> None:
    """Raise UserError for a plan that cannot be run; if it has several problems, the others are printed first.

    here: whether this machine's packages and files are those that the runs will have.
    """
    found = [(name, problem) for name, problem in _found(plan, deep=True, build=True) if here or not problem.absent]
    mistakes = [(name, problem) for name, problem in found if not problem.absent] or found
    if mistakes:
        _complain(mistakes[:-1], table, choice)
        raise UserError(_placed(*mistakes[-1], table, choice))


def _found(plan: Plan | JointPlan, *, deep: bool, build: bool) -> list[tuple[str, Problem]]:
    """The problems of a plan, each with the name of the table that has it."""
    parts = plan.parts if isinstance(plan, JointPlan) else [plan]
    return [(part.name, problem) for part in parts for problem in problems(part, deep=deep, build=build)]


def _complain(listed: list[tuple[str, Problem]], table: str, choice: dict[str, Any]) -> int:
    for name, problem in listed:
        click.echo(f"bench: error: {_placed(name, problem, table, choice)}", err=True)
    return 2 if listed else 0


def _placed(name: str, problem: Problem, table: str, choice: dict[str, Any]) -> str:
    """The problem's text behind its place: the --set option, the file and line, or the shipped table."""
    inner = ".".join(map(str, problem.keys[2:])) if problem.keys[:1] == ("scales",) else ""
    for setting in choice["settings"]:
        key = setting.partition("=")[0].strip()
        if inner and (key == inner or inner.startswith(f"{key}.")):
            return f"--set {setting}: {problem.text}"
    if not problem.keys:
        return f"{name}: {problem.text}"
    if table.endswith((".yaml", ".yml")):
        return str(mistake(Path(table), problem.keys, problem.text))
    return f"{name}: {'.'.join(map(str, problem.keys))}: {problem.text}"
