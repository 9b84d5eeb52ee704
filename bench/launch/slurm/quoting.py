"""Checks the words of a site profile that go into a batch script, and which of them are quoted."""

from __future__ import annotations

import re
import reprlib
import shlex
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

MOST_LETTERS, MOST_ENTRIES = 1000, 100  # of one text; of a list or map (declared)

# `#SBATCH` keys for which a profile has a field of the same name, then of another name ...
SAME_NAME = ("partition", "account", "qos", "constraint", "reservation", "nodelist", "exclude", "gres")
FIELD_OF = {name: name for name in (*SAME_NAME, "time", "requeue")} | {
    "gpus": "gpus_per_node", "gpus-per-node": "gpus_per_node", "gpus-per-task": "gpus_per_node",
    "gpus-per-socket": "gpus_per_node", "mem": "memory", "mem-per-cpu": "memory", "mem-per-gpu": "memory",
    "cpus-per-task": "cpus", "cpus-per-gpu": "cpus", "time-min": "time", "signal": "signal_seconds",
    "no-requeue": "requeue", "nodes": "nodes", "export": "environment", "export-file": "environment",
}  # fmt: skip
# ... and those that `bench submit` sets itself
SET_BY_BENCH = (
    "array", "dependency", "job-name", "output", "error", "input", "wrap", "open-mode", "parsable",
    "ntasks", "ntasks-per-node", "chdir", "clusters", "test-only", "wait", "quiet", "verbose", "help",
)  # fmt: skip
# Options of srun that bench submit and submitit set. srun completes names, so the start of a name is the same option
SET_FOR_SRUN = frozenset({
    "output", "error", "input", "ntasks", "ntasks-per-core", "ntasks-per-gpu", "ntasks-per-node",
    "ntasks-per-socket", "ntasks-per-tres", "nodes", "cpus-per-task", "pty", "multi-prog", "export", "export-file",
    "signal", "job-name", "jobid", "open-mode",
})  # fmt: skip
# Text without shell expansions: words are quoted on their way to the shell, which would not expand them
_LITERAL = r"(?:(?!\$[A-Za-z_{(]|`).)*"
_OPTION = re.compile(rf"--([a-z][a-z0-9-]*)(=(?!~){_LITERAL})?", re.ASCII)


def shown(value: Any) -> str:
    """A value as a message has it, shortened."""
    return reprlib.repr(value)


def one_line(value: Any) -> str:
    """The value, if it is one line of trimmed printable text. Raises ValueError for anything else."""
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} must be text; put it in quotes")
    if not (value.isprintable() and value.strip() == value and 1 <= len(value) <= MOST_LETTERS):
        raise ValueError(f"{shown(value)} must be one line of 1 to {MOST_LETTERS} printable characters, trimmed")
    return value


def _matching(pattern: str, right: str) -> BeforeValidator:
    """A validator of text that matches a pattern; `right` describes such text in the message."""

    def check(value: Any) -> str:
        if not re.fullmatch(pattern, one_line(value), re.ASCII):
            raise ValueError(f"{shown(value)} must be {right}")
        return str(value)

    return BeforeValidator(check)


def _words(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return shlex.split(one_line(value))
    except ValueError as error:
        raise ValueError(f"{shown(value)} is no list of words: {error}") from error


def _srun_option(value: Any) -> str:
    match = _OPTION.fullmatch(one_line(value))
    if not match or any(option.startswith(match[1]) for option in SET_FOR_SRUN):
        raise ValueError(f"{shown(value)} must be --name=value, written out, not one that bench submit sets")
    return str(value)


def _environment_value(value: Any) -> str:
    if value == "":
        return ""
    if type(value) is not int and not isinstance(value, str):
        raise ValueError(f"{shown(value)} must be text or a whole number; put it in quotes")
    if not re.fullmatch(_LITERAL, text := one_line(str(value))):
        raise ValueError(f"{shown(value)} is not expanded; put `export NAME=...` under setup: instead")
    if any(piece.startswith("~") for piece in text.split(":")):
        raise ValueError(f"{shown(value)}: ~ is not expanded; write the whole path, or export it under setup:")
    return text


def _sbatch_key(value: Any) -> str:
    if not (isinstance(value, str) and re.fullmatch(r"[a-z][a-z0-9-]{0,49}", value)):
        raise ValueError(f"{shown(value)} is no sbatch option; write its long name, such as mail-type")
    if value in FIELD_OF:
        raise ValueError(f"sbatch's {value} is the profile's own key {FIELD_OF[value]}; use that")
    # sbatch completes names, so the start of a name is the same option
    if meant := [option for option in (*SET_BY_BENCH, *FIELD_OF) if option.startswith(value)]:
        raise ValueError(f"sbatch's {min(meant)} is set by bench submit or by a key of its own; leave it out")
    return value


def _sbatch_value(value: Any) -> Any:
    if isinstance(value, bool) or (isinstance(value, int | float) and abs(value) < 1e15):
        return value
    if "\\" in one_line(value):  # sbatch takes it for an escape, even inside quotes
        raise ValueError(f"{shown(value)} must not have a backslash; sbatch would drop it")
    return value


Name = Annotated[str, _matching(r"[\w@][\w.+@-]*", "a name of letters, digits and _ . + @ -")]
Names = Annotated[str, _matching(r"[\w@][\w.+@,-]*", "names of letters, digits and _ . + @ -, joined by commas")]
Nodes = Annotated[str, _matching(r"\w[\w.,\[\]-]*", "node names, such as n1,n[3-5]")]
Features = Annotated[str, _matching(r"[\w(\[!][\w.:+=&|*(),!\[\]-]*", "features, such as a100|h100, no spaces")]
Word = Annotated[str, _matching(rf"(?!~){_LITERAL}", "written out: $ ` and ~ are not expanded")]
Words = Annotated[tuple[Word, ...], BeforeValidator(_words), Field(max_length=MOST_ENTRIES)]
SrunOption = Annotated[str, BeforeValidator(_srun_option)]
Line = Annotated[str, BeforeValidator(one_line)]
SetupLine = Annotated[str, _matching(r"(?!#\s*(SBATCH|PBS|BSUB)).*", "a shell line; #SBATCH goes under sbatch:")]
Variable = Annotated[str, _matching(r"(?!SLURM_|SBATCH_|SUBMITIT_)[A-Za-z_]\w*", "a variable name, not SLURM's")]
EnvironmentValue = Annotated[str, BeforeValidator(_environment_value)]
SbatchKey = Annotated[str, BeforeValidator(_sbatch_key)]
SbatchValue = Annotated[str | int | float | bool, BeforeValidator(_sbatch_value)]
