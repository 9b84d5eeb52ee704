"""--json: stdout is one document, whose keys are those of docs/other-tools.md; all that is for people is on stderr."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest

import shared_runs
from bench.cli.main import VERBS, cli, main
from bench.errors import UserError
from bench.store.runs import Store

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "other-tools.md").read_text()
OWN_DOCUMENTS = {"compare", "evaluate", "data list", "data stats"}  # older ones, which their own pages tell of
ASKED = {
    "list": [[]],
    "plan": [["table1", "--scale", "smoke", "--budget", "100"], ["ALL", "--scale", "smoke"]],
    "status": [["table1", "--scale", "smoke"]],
    "report": [
        ["table1", "--scale", "smoke"],
        ["--claims", "table1", "--scale", "smoke"],
        ["table1", "--output", "out"],
    ],
    "recorded": [["table1"]],
    "networks": [["sngan-32"]],
    "check": [["baseline", "--network", "sngan-32"]],
    "doctor": [[]],
}


def documented(verb):
    """The paths of a verb's keys, as its table on the page has them."""
    part = PAGE.partition(f"### `bench {verb} --json`")[2].partition("\n###")[0]
    rows = re.findall(r"^\| (`.*?) \|", part, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def paths(value, known, path=""):
    """Every path of a document: `a.b` of maps, `a[]` of lists, `a{}` of maps whose keys are names."""
    if f"{path}{{}}" in known:
        assert isinstance(value, dict)
        return {f"{path}{{}}"}
    if isinstance(value, dict):
        return {one for key, inner in value.items() for one in paths(inner, known, f"{path}.{key}".lstrip("."))}
    if isinstance(value, list):
        return {one for inner in value for one in paths(inner, known, f"{path}[]")} or {f"{path}[]"}
    return {path}


def asked(capsys, verb, *words):
    """(document, stderr, exit status) of a verb with --json."""
    with pytest.raises(SystemExit) as end:
        main([*verb.split(), *words, "--json"])
    out, err = capsys.readouterr()
    return json.loads(out, parse_constant=pytest.fail), err, end.value.code


def commands(name, command):
    inner = getattr(command, "commands", None) or {}
    yield from ((name, command),) if not inner else ()
    for sub, one in inner.items():
        yield from commands(f"{name} {sub}", one)


def test_every_verb_that_prints_results_has_it_and_is_on_the_page():
    context = click.Context(cli)
    every = [pair for verb in VERBS for pair in commands(verb, cli.get_command(context, verb))]
    having = {name for name, command in every if any("--json" in one.opts for one in command.params)}
    assert having == set(ASKED) | OWN_DOCUMENTS
    assert set(re.findall(r"^### `bench (.*) --json`", PAGE, re.MULTILINE)) == set(ASKED)


@pytest.mark.parametrize("verb", ASKED)
def test_the_keys_are_those_of_the_page(verb, store_root, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shared_runs.fill(Store(store_root))
    known, seen = documented(verb), set()
    for words in ASKED[verb]:
        document, err, status = asked(capsys, verb, *words)
        assert list(document)[:2] == ["schema", "verb"] and (document.pop("schema"), document.pop("verb")) == (1, verb)
        assert status == (0 if document.get("well", True) else 1), err
        seen |= paths(document, known)
    # An absent value stands for all below it, and an empty list for its entries
    whole = {name for name in seen if any(one == name or one.startswith((f"{name}.", f"{name}[")) for one in known)}
    assert seen == whole
    # `waits_for` and `median` are of tables and cells that are not here
    unseen = {name for name in known if not any(name == one or name.startswith((f"{one}.", f"{one}[")) for one in seen)}
    assert {name for name in unseen if not name.endswith(".waits_for")} == set()


def test_a_plan_says_what_would_start_and_people_are_told_on_stderr(store_root, capsys):
    (uid, *_) = shared_runs.fill(Store(store_root), ["scratch"], [0])
    document, err, _ = asked(capsys, "plan", "table1", "--scale", "smoke", "--rows", "scratch", "--columns", "faces")
    runs = {run["uid"]: run for run in document["runs"]}
    assert (runs[uid]["status"], runs[uid]["starts"], runs[uid]["label"]) == ("done", False, "scratch · faces · seed 0")
    assert runs[uid]["cells"] == [{"row": "scratch", "column": "faces", "seed": 0}]
    assert sum(run["starts"] for run in runs.values()) == document["counts"]["planned"] == len(runs) - 1
    assert document["cost"]["of"] == "worker" and "to start" in err


def test_a_report_has_the_values_of_every_seed(store_root, capsys):
    shared_runs.fill(Store(store_root))
    document, _, _ = asked(capsys, "report", "table1", "--scale", "smoke", "--columns", "faces")
    (table,) = document["tables"]
    first = table["scores"][0]
    cells = {(cell["row"], cell["column"]): cell for cell in first["cells"]}
    cell = cells["scratch", "faces"]
    assert first["label"] == "FD(effnet_lite0@64)" and cell["values"] == {"0": 100.0, "1": 101.0}
    assert cell["mean"] == 100.5 and cell["low"] < 100.5 < cell["high"] and cell["seeds"]["done"] == 2


def test_a_status_lists_runs_that_lines_leave_out(store_root, capsys):
    (uid, *_) = shared_runs.fill(Store(store_root), ["scratch"], [0])
    document, _, _ = asked(capsys, "status", "table1", "--scale", "smoke", "--rows", "scratch", "--columns", "faces")
    (run,) = [run for run in document["runs"] if run["uid"] == uid]
    assert run["state"] == "done" and document["counts"]["done"] == 1 and document["counts"]["planned"] >= 1


def test_a_mistake_leaves_stdout_empty(capsys):
    with pytest.raises(SystemExit) as end:
        main(["plan", "tabel1", "--json"])
    out, err = capsys.readouterr()
    assert out == "" and "did you mean" in err and end.value.code == 2


def test_a_plan_that_does_not_fit_says_so_and_keeps_its_status(capsys):
    document, _, status = asked(capsys, "plan", "table1", "--scale", "smoke", "--budget", "0.000001")
    assert document["cost"]["fits_budget"] is False and status == 2


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["report", "table1", "--csv"], "--csv and --json are both printed"),
        (["report", "table1", "--single"], "--json is printed, and --html"),
        (["recorded", "--csv"], "--csv and --json are both printed"),
        (["status", "table1", "--watch"], "--json is one document, and --watch many"),
    ],
)
def test_two_forms_at_once_are_refused(words, why):
    with pytest.raises(UserError, match=why):
        cli.main([*words, "--json"], standalone_mode=False)
