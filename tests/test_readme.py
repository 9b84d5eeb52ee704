"""What the README and the pages show is run: its method passes the conformance checks, verbs and options exist."""

import re
import shlex
import shutil
from pathlib import Path

import click
from PIL import Image

from bench.cli.main import cli
from bench.conformance.checks import check_method
from bench.data import imageset
from bench.data.known import know_own
from bench.data.own_sets import new_entry
from bench.plan.load import load_table
from bench.plugins import load_plugin

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "REPRODUCING.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = {
    line.split("#")[0].strip(): None  # once, in the order of the pages
    for page in PAGES
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    for line in block.splitlines()
    if line.startswith("bench ")
}


def test_the_method_of_forty_lines_passes_its_checks(tmp_path):
    source = next(block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "# mirror.py" in block)
    assert len(source.splitlines()) <= 40
    path = tmp_path / "mirror.py"
    path.write_text(source)
    assert load_plugin(str(path)) == ["mirror"]
    failed = [finding for finding in check_method("mirror + disp(prior=random)") if not finding.passed]
    assert not failed


def test_their_commands_parse():
    assert len(COMMANDS) > 60
    wrong = [line for line in COMMANDS if not _parses(shlex.split(line)[1:])]
    assert wrong == []


def _parses(words):
    """Whether the verb exists, and every option that is given to it."""
    command: click.Command | None = cli
    for word in words:
        if not isinstance(command, click.Group):
            break
        command = command.get_command(click.Context(command), word)
    if not isinstance(command, click.Command):
        return False
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return {word.partition("=")[0] for word in words if word.startswith("--")} <= options


def test_its_second_example_scores_a_folder(bench_command, tmp_path):
    """The commands as they stand, on a hundred pictures of another size in a folder and in a zip."""
    block = re.search(r"## Score a folder of images\n.*?```sh\n(.*?)```", README, re.DOTALL)[1]
    commands = [shlex.split(line.split("#")[0]) for line in block.splitlines()]
    (tmp_path / "made").mkdir()
    for number, image in enumerate(imageset.load("shapes", 32).train[:100]):
        Image.fromarray(image).resize((40, 40)).save(tmp_path / "made" / f"{number:03}.png")
    shutil.make_archive(str(tmp_path / "made"), "zip", tmp_path / "made")
    done = [bench_command(*words[1:], cwd=tmp_path, BENCH_RECORDED=str(tmp_path / "sets")) for words in commands]
    assert [one.returncode for one in done] == [0, 0, 0, 0], [one.stderr for one in done]
    folder, kept, report, against = (one.stdout for one in done)
    scores = [re.sub(r"^.*\n", "", text).partition("kept as")[0] for text in (folder, kept)]
    assert (
        scores[0] == scores[1] and "100 pictures of another size made 32 px" in scores[0] and "generated," in scores[0]
    )
    assert any(line.startswith("mine (pictures)") and "(n=1)" in line for line in report.splitlines())
    assert "100 generated, 100 reference" in against


def test_a_pages_table_of_ones_own_is_one(tmp_path, fresh_registries):
    know_own("mine", new_entry("mine", []))  # as if it were built
    page = (ROOT / "docs" / "own-pictures.md").read_text()
    source = next(block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "# mine.yaml" in block)
    path = tmp_path / "mine.yaml"
    path.write_text(source)
    spec = load_table(str(path))
    columns = [spec.scored(column, "smoke") for column in spec.columns]
    assert {(one.data.name, one.stand_in) for one in columns} == {("mine", None)}
    assert spec.run_spec(spec.rows[0], spec.columns[0], 0, "smoke").data.shots == 50
