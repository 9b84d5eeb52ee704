"""What one verb accepts, every verb accepts where it means something, under one meaning: the table of options."""

from __future__ import annotations

import click
import pytest

from bench.cli.main import VERBS, cli

SELECTION = {"--rows", "--columns", "--seeds", "--method", "--set", "--plugin", "--scale", "--store"}
# What may start, and what it may cost: of the verbs that plan a table's work or do it.
WORK = {"--retry", "--rerun", "--no-train", "--no-references", "--budget", "--card"}
# Which runs are meant; for verbs that show scores which of these; for verbs that start runs which start.
TABLE = {
    "plan": SELECTION | WORK,
    "run": SELECTION | WORK,
    "submit": SELECTION | WORK,
    "status": SELECTION,
    "logs": SELECTION,
    "cancel": SELECTION,
    "report": SELECTION | {"--metric"},
    "compare": SELECTION | {"--metric"},
    "record": SELECTION | WORK,
    "bundle": SELECTION | WORK,
    "sample": SELECTION,
    "export": SELECTION,
}
SHARED = SELECTION | WORK | {"--metric"}
# The verbs that take a table's runs as arguments are all above; these are about other things.
OTHERS = {"list", "recorded", "check", "data", "networks", "weights", "rehearse", "doctor", "evaluate",
          "merge"}  # fmt: skip
# --scale: of verbs that look for one run every scale; of the rest the project file's.
APART = {(verb, "--scale") for verb in ("logs", "sample", "export")}
# What an option of a shared name means where it is no table's.
ELSEWHERE = {"list": {"--plugin", "--store"}, "check": {"--plugin"}, "rehearse": {"--store"}, "doctor": {"--store"},
             "merge": {"--store"},
             "networks": {"--set"}, "evaluate": {"--method", "--plugin", "--scale", "--store"}}  # fmt: skip


def options(verb):
    command = cli.get_command(click.Context(cli), verb)
    return {name: one for one in command.params if isinstance(one, click.Option) for name in _names(one)}


def _names(one):
    return [*one.opts, *one.secondary_opts]


@pytest.mark.parametrize("verb", TABLE)
def test_a_verb_has_the_options_that_mean_something_there(verb):
    assert {name for name in options(verb) if name in SHARED} == TABLE[verb]


def test_every_verb_is_in_the_table_or_is_about_something_else():
    assert set(VERBS) == set(TABLE) | OTHERS, "a new verb: does it take a table's runs?"
    for verb in OTHERS - {"data", "weights"}:
        assert {name for name in options(verb) if name in SHARED} == ELSEWHERE.get(verb, set()), verb


@pytest.mark.parametrize("name", sorted(SHARED))
def test_an_option_is_the_same_everywhere(name):
    """One help text, one form of its values, one default."""
    found = {
        (
            one.help,
            one.metavar,
            one.multiple,
            one.is_flag,
            type(one.type).__name__,
            one.name,
            repr(one.default),
        )
        for verb in TABLE
        if name in TABLE[verb] and (verb, name) not in APART
        for one in [options(verb)[name]]
    }
    assert len(found) == 1


def test_a_plan_takes_every_option_of_the_command_that_it_is_for():
    """But for those that say by which workers and who is told, which a plan has none of: they change no run and no
    figure of it. What a plan prints is a document on wish; runs have theirs in `bench status`.
    """
    workers = {"--jobs", "--device", "--runs-per-gpu", "--profile", "--dry-run", "--notify"}
    assert set(options("run")) | set(options("submit")) == set(options("plan")) - {"--json"} | workers


@pytest.mark.parametrize("name", ["--plugin", "--method", "--set"])
def test_what_may_be_repeated_says_so(name):
    assert all("may be repeated" in options(verb)[name].help for verb in TABLE)


@pytest.mark.parametrize("verb", ["record", "bundle"])
def test_what_run_makes_can_be_named(verb):
    """A verb about what `run` has made takes every option of it, as it does; those without a say are hidden."""
    own, made = options(verb), options("run")
    assert made.keys() <= own.keys()
    for name, option in made.items():
        assert {**own[name].to_info_dict(), "hidden": False} == {**option.to_info_dict(), "hidden": False}, name
    said = {name for name, one in own.items() if not one.hidden}
    assert {name for name in made if name not in said} == {
        "--retry", "--rerun", "--no-train", "--budget", "--card", "--device", "--jobs", "--runs-per-gpu", "--notify"
    }, "an option of `run`: does it say which runs are meant, or how they are trained and who is told?"  # fmt: skip
    assert all(not own[name].expose_value for name in made if name not in said)
