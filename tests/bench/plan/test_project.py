"""The project file: found from below, its paths whole, its mistakes named; the command line comes before it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import UserError
from bench.launch.slurm.profile_load import VARIABLE, load_profile
from bench.plan.folders import recorded_roots, store_root
from bench.plan.project import project_file
from bench.spec.own_rows import split_label

WHOLE = """
plugins = ["parts/mirror.py"]
store = "my-runs"
recorded = ["sets", "/elsewhere/sets"]
profile = "site.yaml"
scale = "mini"
[rows]
"ours b" = "disp"
"""
PLUGIN = """
from bench.train import Method
class Mirror(Method):
    "Does nothing."
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Write a project file in a folder, and work in a folder below it."""
    monkeypatch.delenv("BENCH_STORE", raising=False)

    def write(text, name="bench.toml", below="a/b"):
        (tmp_path / name).write_text(text)
        (tmp_path / below).mkdir(parents=True, exist_ok=True)
        monkeypatch.chdir(tmp_path / below)
        return tmp_path

    return write


@pytest.mark.parametrize(("name", "prefix"), [("bench.toml", ""), ("pyproject.toml", "tool.bench")])
def test_everything_is_read_from_a_folder_above_and_paths_start_there(name, prefix, project):
    text = WHOLE.replace("ours b", "ours b")
    if prefix:
        text = f"[project]\nname = 'x'\n[{prefix}]" + text.replace("[rows]", f"[{prefix}.rows]")
    root = project(text, name)
    found = project_file()
    assert found is not None and found.path == root / name
    assert found.plugins == [root / "parts/mirror.py"]
    assert found.store == root / "my-runs" == store_root()
    assert found.recorded == [root / "sets", Path("/elsewhere/sets")]
    assert recorded_roots()[:2] == found.recorded
    assert found.profile == str(root / "site.yaml") and found.scale == "mini"
    assert found.rows == {"ours b": "disp"}
    assert str(found).startswith(f"{root / name} (plugins parts/mirror.py; rows ours b; store my-runs; ")


def test_the_nearest_file_counts_and_a_pyproject_without_our_table_does_not(project, tmp_path):
    root = project('scale = "paper"', below="a/b")
    (root / "a" / "pyproject.toml").write_text("[tool.ruff]\n")
    assert project_file().scale == "paper"
    (root / "a" / "bench.toml").write_text('scale = "smoke"')
    assert project_file().path == root / "a" / "bench.toml" and project_file().scale == "smoke"


def test_there_may_be_none(tmp_path):
    assert project_file(tmp_path) is None or project_file(tmp_path).path.parent not in tmp_path.parents


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("plugin = ['x.py']", r"bench\.toml: plugin: unknown key; did you mean 'plugins'\?"),
        ("scale = 'huge'", r"bench\.toml: scale: .*'smoke'"),
        ("plugins = 'x.py'", r"bench\.toml: plugins: "),
        ("rows = ['disp']", r"bench\.toml: rows: "),
        ("[rows]\n'a,b' = 'disp'", r"bench\.toml: rows: label 'a,b': letters, digits"),
        ("[rows]\nmine = 3", r"bench\.toml: rows\.mine: "),
        ("store = ''", r"bench\.toml: store: "),
        ("store = \nscale = 1", r"bench\.toml: is not TOML: .*line 1"),
    ],
)
def test_a_mistake_is_named_with_file_and_key(text, message, project):
    project(text)
    with pytest.raises(UserError, match=message) as caught:
        project_file()
    assert "\n" not in str(caught.value)


def test_a_mistake_in_pyproject_is_named_with_its_whole_key(project):
    project("[tool.bench]\nstorre = 'x'", "pyproject.toml")
    with pytest.raises(UserError, match=r"pyproject\.toml: tool\.bench\.storre: unknown key; did you mean 'store'"):
        project_file()


def test_two_files_in_one_folder_are_refused(project):
    root = project("[tool.bench]\nscale = 'mini'", "pyproject.toml")
    (root / "bench.toml").write_text("scale = 'smoke'")
    with pytest.raises(UserError, match="two project files; keep one"):
        project_file()


def test_the_environment_comes_before_the_file(project, monkeypatch, tmp_path):
    root = project('store = "my-runs"\nrecorded = "sets"\nprofile = "no-such.yaml"')
    monkeypatch.setenv("BENCH_STORE", "/other/runs")
    assert store_root() == Path("/other/runs")
    assert recorded_roots()[0] == root / "sets"
    monkeypatch.setenv("BENCH_RECORDED", "/other/sets")
    assert recorded_roots()[0] == Path("/other/sets") and root / "sets" not in recorded_roots()
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(UserError, match=r"no-such\.yaml: cannot be read"):
        load_profile(None)
    monkeypatch.setenv(VARIABLE, "test-node")
    assert load_profile(None) == load_profile("test-node")


def test_plan_says_that_a_profile_cannot_be_read_and_plans_all_the_same(project, bench_command, monkeypatch):
    """On a laptop, say: nothing here needs the profile; `bench submit` would refuse it."""
    root = project('profile = "site.yaml"')
    command = ("plan", "table1", "--scale", "smoke", "--rows", "scratch", "--columns", "faces", "--seeds", "0")
    done = bench_command(*command, cwd=root)
    said = f"bench submit would refuse the site profile in force: {root / 'site.yaml'}: cannot be read"
    assert done.returncode == 0 and said in done.stderr and len(done.stderr.splitlines()) == 1
    (root / "site.yaml").write_text("time: 1h\n")
    assert bench_command(*command, cwd=root).stderr == ""


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("disp(prior=vgg16)", (None, "disp(prior=vgg16)")),
        ("a(x=1) + b(y=2)", (None, "a(x=1) + b(y=2)")),
        ("ours=disp(prior=vgg16)", ("ours", "disp(prior=vgg16)")),
        (" Ours v2 = mirror + disp ", ("Ours v2", "mirror + disp")),
    ],
)
def test_labels(text, split):
    assert split_label(text) == split


def test_the_command_line_with_a_project_file(project, bench_command, tmp_path):
    """Plug-in and labelled row of the file are there without an option; identities do not know the label."""
    root = project('plugins = ["mirror.py"]\nscale = "mini"\n[rows]\nours = "mirror + disp"\ntwo = "mirror"')
    (root / "mirror.py").write_text(PLUGIN)
    below = root / "a" / "b"

    def uids(*arguments):
        done = bench_command("plan", "table1", "--columns", "faces", "--seeds", "0", *arguments, cwd=below)
        assert done.returncode == 0, done.stderr
        return {line.split("  ")[0].strip("> "): line.split()[-1] for line in done.stdout.splitlines()
                if "seed 0" in line}, done.stdout  # fmt: skip

    named, told = uids("--rows", "ours")
    assert "at scale mini" in told and "ours · faces · seed 0" in named
    spelt, _ = uids("--method", "mirror + disp")
    labelled, _ = uids("--method", "mine=mirror + disp")
    assert (
        named["ours · faces · seed 0"] == spelt["mirror + disp · faces · seed 0"] == labelled["mine · faces · seed 0"]
    )
    _, told = uids()
    assert "ours" not in told, "a row of one's own is trained when it is named"
    _, told = uids("--scale", "smoke")
    assert "at scale smoke" in told
    again, _ = uids("--method", "ours=mirror")  # the command line's word counts before the file's
    assert again["ours · faces · seed 0"] == uids("--rows", "two")[0]["two · faces · seed 0"]
    assert f"project file: {root / 'bench.toml'} (" in bench_command("doctor", cwd=below).stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('plugins = ["gone.py"]', "bench.toml: plugins: plug-in '"),
        ('[rows]\nours = "dips"', "bench.toml: rows: unknown method 'dips'; did you mean 'disp'?"),
        ('[rows]\nscratch = "disp"', "has a row 'scratch' already"),
    ],
)
def test_what_the_file_names_must_be_there(text, message, project, bench_command):
    root = project(text)
    done = bench_command("plan", "table1", cwd=root / "a" / "b")
    assert done.returncode == 2 and message in done.stderr and len(done.stderr.splitlines()) == 1
