"""Bad input: exit status 2, one line on stderr that says what is wrong, no traceback, nothing done."""

from __future__ import annotations

from pathlib import Path

import pytest

# (arguments, what the line must say). Each runs in an empty folder of its own, in a fork of its own.
MISTAKES = {
    "verb": (["pln"], "unknown verb 'pln'; did you mean 'plan'?"),
    "table": (["plan", "tabel1"], "unknown table 'tabel1'; did you mean 'disp/table1'?"),
    "table file": (["plan", "nowhere.yaml"], "nowhere.yaml: cannot be read: No such file"),
    "scale": (["plan", "table1", "--scale", "huge"], "'huge'"),
    "row": (["run", "table1", "--rows", "scrath"], "unknown row 'scrath' of disp/table1; did you mean 'scratch'?"),
    "printed row": (["run", "table1", "--rows", "bsa"], "printed only"),
    "no rows": (["run", "table1", "--rows", ","], "--rows ',' names nothing"),
    "column": (["run", "table1", "--columns", "face"], "did you mean 'faces'?"),
    "seeds": (["run", "table1", "--seeds", "2..0"], "write 0..2 or 0,1,2"),
    "many seeds": (["plan", "table1", "--seeds", "0..999999999999"], "must be below"),
    "set": (["run", "table1", "--set", "train.stepz=5"], "did you mean 'steps'?"),
    "set value": (["run", "table1", "--set", "train.steps=x"], "--set train.steps=x: "),
    "method": (["run", "table1", "--method", "difaugment"], "did you mean 'diffaugment'?"),
    "setting": (["run", "table1", "--method", "disp(piror=a)"], "did you mean 'prior'?"),
    "setting value": (["run", "table1", "--method", "disp(prior={)"], "is not YAML"),
    "jobs": (["run", "table1", "--jobs", "0"], "--jobs"),
    "option": (["run", "table1", "--job", "1"], "--jobs"),
    "no table": (["run"], "TABLE"),
    "retry": (["run", "table1", "--retry", "some"], "'some'"),
    "store": (["run", "table1", "--rows", "scratch", "--store", "/dev/null/x"], "/dev/null/x"),
    "plug-in": (["list", "methods", "--plugin", "gone.py"], "plug-in 'gone.py' is not a file"),
    "broken plug-in": (["list", "methods", "--plugin", "broken.py"], "broken.py' cannot be imported: ZeroDivision"),
    "weights": (["run", "table1", "--scale", "paper", "--rows", "freezed"], "put them at"),
    "data name": (["data", "build", "shape"], "unknown data set 'shape'; did you mean 'shapes'?"),
    "data folder": (["data", "build", "ffhq", "--from", "gone"], "gone"),
    "data small": (["data", "build", "shapes", "--resolution", "4"], "--resolution"),
    "network": (["networks", "sngan-33"], "unknown network 'sngan-33'; did you mean 'sngan-32'?"),
    "network option": (["networks", "sngan-32", "--set", "z_dmi=3"], "did you mean 'z_dim'?"),
    "check": (["check", "dispp"], "unknown method 'dispp'; did you mean 'disp'?"),
    "check nothing": (["check"], "name one METHOD"),
    "compare": (["compare", "scratch", "--against", "nobody"], "nobody"),
    "compare nothing": (["compare", "scratch"], "holds nothing of disp/table1 at scale smoke; it holds "),
    "compare unknown": (["compare", "scrath"], "'scrath' is no row of disp/table1, no label of --method"),
    "compare metric": (["compare", "scratch", "--scale", "mini", "--metric", "fdd"], "fdd"),
    "report row": (["report", "table1", "--rows", "scrath"], "did you mean 'scratch'?"),
    "report metric": (["report", "table1", "--metric", "fdd"], "does not score 'fdd'; did you mean 'fd'?"),
    "report rows of all": (["report", "--rows", "scratch"], "are of a table: name it"),
    "report set": (["report", "table1", "--set", "train.stepz=5"], "did you mean 'steps'?"),
    "set short": (["plan", "table1", "--set", "steps=3"], "did you mean 'train.steps'?"),
    "label": (["plan", "table1", "--method", "scratch=disp"], "disp/table1 has a row 'scratch' already"),
    "label twice": (["plan", "table1", "--method", "a=disp", "--method", "a=baseline"], "has a row 'a' already"),
    "record row": (["record", "table1", "--as", "x", "--rows", "scrath"], "did you mean 'scratch'?"),
    "report": (["report", "table99"], "unknown table 'table99'"),
    "empty report": (["report"], "bench run"),
    "record": (["record", "table1"], "--as"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(name, bench_command, tmp_path):
    (tmp_path / "broken.py").write_text("1 / 0")
    before = sorted(tmp_path.rglob("*"))
    arguments, expected = MISTAKES[name]
    done = bench_command(*arguments, cwd=tmp_path, BENCH_WEIGHTS=str(tmp_path / "weights"))
    lines = done.stderr.splitlines()
    assert done.returncode == 2, done.stderr
    assert len(lines) == 1 and lines[0].startswith("bench: error: "), done.stderr
    assert expected in lines[0]
    assert sorted(tmp_path.rglob("*")) == before, "a mistake must leave nothing behind"


def test_all_that_is_missing_is_named_at_once_a_line_each(bench_command, tmp_path):
    arguments = ("run", "table1", "--scale", "paper", "--rows", "scratch")
    done = bench_command(*arguments, cwd=tmp_path, BENCH_WEIGHTS=str(tmp_path / "weights"))
    lines = done.stderr.splitlines()
    assert done.returncode == 2 and all(line.startswith("bench: error: disp/table1: scales.paper.") for line in lines)
    wanted = ("bench data build danbooru-faces", "bench data build ffhq", "extractor 'inception@299'")
    assert len(lines) == len(wanted) and all(any(one in line for line in lines) for one in wanted)
    assert not list(tmp_path.glob("results"))


def test_table_mistake_names_file_line_and_key(bench_command, tmp_path):
    (tmp_path / "mine.yaml").write_text("extends: disp/table1\nscales:\n  smoke:\n    trian: {steps: 5}\n")
    done = bench_command("plan", "mine.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "bench: error: mine.yaml:4: scales.smoke.trian: unknown key; did you mean 'train'?\n"


def test_bad_environment(bench_command, tmp_path):
    done = bench_command("run", "table1", cwd=tmp_path, BENCH_CHECKPOINT_SECONDS="soon")
    assert done.returncode == 2
    assert done.stderr == "bench: error: BENCH_CHECKPOINT_SECONDS=soon must be a number of seconds, 0 or more\n"


def test_damaged_run_folder_is_named(bench_command, tmp_path, tiny_spec, store_root):
    from bench.plan.load import load_table
    from bench.plan.runs import make_plan
    from bench.store.runs import Store

    store = Store(store_root)
    plan = make_plan(load_table("table1"), "smoke", store, ["scratch"], ["faces"], [0])
    folder = store.open(plan.runs[-1].spec)
    (folder.path / "result.json").write_text('{"diverged_at": nu')
    done = bench_command("plan", "table1", "--rows", "scratch", "--columns", "faces", "--seeds", "0")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert str(Path(folder.uid) / "result.json") in done.stderr


def test_a_new_process_says_and_ends_the_same(bench_process, tmp_path):
    """As a user starts it: the exit status and both streams are the interpreter's own."""
    arguments, expected = MISTAKES["verb"]
    done = bench_process(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr == f"bench: error: {expected}\n"


def test_no_verb_shows_the_help(bench_process):
    done = bench_process()
    assert done.returncode == 2 and done.stderr.startswith("Usage: bench") and "report" in done.stderr


def test_reader_that_goes_away_is_no_error(tmp_path):
    """`bench list | head -1`."""
    import subprocess
    import sys

    root = Path(__file__).resolve().parents[3]
    command = f"PYTHONPATH={root} {sys.executable} -m bench plan table1 --seeds 0..40 | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path)
    assert len(done.stdout.splitlines()) == 1 and done.stderr == ""
