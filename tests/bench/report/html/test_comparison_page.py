"""A comparison's page: it holds every number, nests, survives hostile names, and works in a headless Chromium."""

import io
import json
import math
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pandas as pd
import pytest

from bench import seeds
from bench.report.compare import compare
from bench.report.compare_words import baseline_lines, cost_lines, summary
from bench.report.costs import Spent
from bench.report.html.comparison import stem, whole, write_page
from bench.report.html.index import IndexEntry
from bench.report.html.site import write_site
from bench.report.render import comparison_data, comparison_latex, comparison_text, latex

PHONE = 380  # CSS pixels
LONG = "a-very-long-name-" * 12
HOSTILE = f"<script>alert(1)</script> \\frac{{$x$}} `$(rm -rf)` \"q\" 'q' 🦜👩‍👩‍👧 שלום مرحبا \u202e{LONG}"
VOID = {"meta", "link", "img", "input"}


def compared(table, run, snapshots, frame, name="mine", against="cpu", label=None, metrics=("fd", "precision")):
    """Ours among four baselines of five seeds: one refused in faces, one without a measured cost."""
    stream, runs = seeds.numpy_stream(3, "comparison-page"), []
    levels = {"scratch": 120.0, "scratch+disp": 70.0, "ada": 88.0, "control": 100.0, name: 85.0}
    for column in ("anime", "faces"):
        for seed in range(5):
            shared = math.exp(stream.normal(0, 0.1))
            for row, level in levels.items():
                fd = level * shared * math.exp(stream.normal(0, 0.04))
                runs.append(run(row, column, seed, snapshots((fd / 0.9, 0.5, 0.1), (fd, 50 / level, 0.1))))
    results = frame(*runs)
    results.loc[(results["row"] == "ada") & (results["column"] == "faces"), "n_generated"] = 500
    hours = {"scratch": 1.0, "scratch+disp": 3.0, "control": 2.5, name: 2.0}
    spent = {
        line.uid: Spent(3600 * hours[line.row], label or "AMD EPYC, 1 thread")
        for line in results.drop_duplicates("uid").itertuples()
        if line.row in hours
    }
    columns = [{"id": "anime", "label": label or "Anime"}, {"id": "faces", "label": "مرحبا" if label else "Faces"}]
    ours, theirs = results[results["row"] == name], results[results["row"] != name]
    spec = table(columns=columns, claims=[])
    return [compare(spec, "mini", name, ours, theirs, against, metric, spent) for metric in metrics]


@pytest.fixture(scope="module")
def made(table, run, snapshots, frame):
    """The comparison, and the same with names that nobody should give."""
    makers = (table, run, snapshots, frame)
    return compared(*makers), compared(*makers, f"mine {HOSTILE}", HOSTILE, HOSTILE)


class Page(HTMLParser):
    """A page that is read: tags nest; its texts, ids and addresses."""

    def __init__(self, text):
        super().__init__()
        self.stack, self.cells, self.ids, self.addresses, self.tags = [], [], [], [], []
        self.feed(text)
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append(tag)
        self.ids += [values["id"]] if "id" in values else []
        self.addresses += [values[name] for name in ("src", "href", "data", "action") if name in values]
        if tag not in VOID:
            self.stack.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & {*self.stack} and self.cells:
            self.cells[-1] += data


def test_it_holds_every_number_of_the_text(made):
    page = Page(whole(made[0], ["a remark"]))
    for one in made[0]:
        lines = [line for place in one.standings for line in baseline_lines(one, place)]
        lines += [line for costs in one.costs for points in costs.devices.values() for line in cost_lines(one, points)]
        lines += [line[1:] for line in summary(one)[1]]
        assert lines and {text for line in lines for text in line} <= {cell.strip() for cell in page.cells}
    assert "a remark" in whole(made[0], ["a remark"])


@pytest.mark.parametrize("which", [0, 1], ids=["plain", "hostile"])
def test_one_file_nests_and_loads_nothing(made, which):
    text = whole(made[which], [HOSTILE])
    page = Page(text)
    assert len(set(page.ids)) == len(page.ids)
    assert all(one.startswith(("#", "data:image/png;base64,")) for one in page.addresses)
    assert page.tags.count("script") == 1 and page.tags.count("svg") == 8, "ratios and costs, of two scores and sets"
    assert "<script>alert" not in text and "<bdi>" in text


def test_a_folder_holds_what_the_page_names_and_leads_to_an_index_that_is_there(made, tmp_path):
    path = write_page(tmp_path, made[0])
    assert path.name == "compare-mine-cpu-disp-table1-mini.html" and "index.html" not in path.read_text()
    for address in Page(path.read_text()).addresses:
        assert address.startswith("#") or (tmp_path / address).is_file(), address
    (tmp_path / "index.html").write_text("")
    page = write_page(tmp_path, made[0])
    assert 'href="index.html"' in page.read_text()
    write_site(tmp_path, [], [IndexEntry("disp/table1", "table", "A table", {}, {})])
    assert f'href="{page.name}"' in (tmp_path / "index.html").read_text()


def test_a_hostile_name_is_no_path_and_two_of_them_are_two_files(made, tmp_path):
    name = stem(made[1])
    assert re.fullmatch(r"[A-Za-z0-9._+-]{1,80}", name) and ".." not in name.split("-")
    path = write_page(tmp_path, made[1])
    assert path.parent == tmp_path and path.is_file()


@pytest.mark.parametrize("which", [0, 1], ids=["plain", "hostile"])
def test_text_markdown_csv_and_json_of_any_name(made, which):
    for one in made[which]:
        assert comparison_text.render(one).count("ours is") == 2
        piped = [line for line in comparison_text.render_markdown(one).splitlines() if line.startswith("|")]
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in piped} == {7, 8, 9}, "costs, sets, baselines"
    lines = pd.read_csv(io.StringIO(comparison_data.csv(made[which])))
    refused = lines["refused"].notna()
    assert (len(lines), refused.sum()) == (2 * (4 + 3) + 2, 2)
    assert set(lines["method"]) == {made[which][0].method}
    assert made[which][0].method in json.loads(comparison_data.as_json(made[which]))["comparisons"][0].values()


@pytest.mark.parametrize("which", [0, 1], ids=["plain", "hostile"])
def test_latex_compiles(made, which, tmp_path, lacks):
    if shutil.which("pdflatex") is None:
        lacks(
            "not installed: pdflatex; this brings it: "
            "apt-get install -y --no-install-recommends texlive-latex-base texlive-latex-recommended"
        )
    head = f"\\documentclass{{article}}\n\\usepackage[T1]{{fontenc}}\n\\usepackage{{textcomp}}\n{latex.PACKAGES}"
    body = "\n".join(map(comparison_latex.render, made[which]))
    (tmp_path / "page.tex").write_text(f"{head}\\begin{{document}}\n{body}\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-3000:]
    assert "Missing character" not in (tmp_path / "page.log").read_text(errors="replace")


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    write_page(folder, made[0], ["Of 'cpu', inputs not recorded."]).rename(folder / "page.html")
    (folder / "hostile.html").write_text(whole(made[1], [HOSTILE]), encoding="utf-8")
    return folder


@pytest.fixture
def page(chrome, folder, lacks):
    """The page, wide and light; nothing goes wrong on it and nothing is asked of a network."""
    if chrome is None:
        lacks("not installed: chromium; this brings it: apt-get install -y chromium")
    chrome.look()
    chrome.open(folder / "page.html")
    yield chrome
    assert chrome.problems == []
    assert [url for url in chrome.requests if not url.startswith(("file:", "data:"))] == []


def rows(page, table=0):
    """The names of a sorted table's rows that are seen, in their order."""
    return page.js(
        f"[...document.querySelectorAll('table.sorted')[{table}].tBodies[0].rows].filter(row => row.checkVisibility())"
        ".map(row => row.cells[0].textContent)"
    )


def test_a_press_sorts_by_the_ratio_and_the_filter_keeps_a_name(page):
    own = rows(page)
    assert own == ["scratch+disp", "ada", "control", "scratch"]
    page.click("table.sorted thead th:nth-child(3) button")
    assert rows(page) == own[::-1], "ours / baseline: the worst baseline has the smallest ratio"
    page.click("table.sorted thead th:nth-child(3) button")
    page.click("table.sorted thead th:nth-child(3) button")
    assert rows(page) == own
    page.click("input[type=search]")
    for letter in "disp":
        page.press(letter)
    assert rows(page) == ["scratch+disp"] and page.js("document.querySelector('output').textContent") == "1 of 5 rows"


def test_by_keyboard(page):
    """Tab reaches the filter, a column's button, a wide table's own scroll and a plot's fold; Enter works on each."""
    reached = set()
    for _ in range(40):
        page.press("Tab")
        here = page.js("(e => e.name || e.tagName.toLowerCase() + ' ' + e.textContent.trim().slice(0, 30))"
                       "(document.activeElement)")  # fmt: skip
        reached.add(here)
        if here == "button ours is":
            page.press("Enter")
            assert page.js("document.activeElement.closest('th').ariaSort") == "ascending"
        if here.startswith("summary Plot"):
            page.press("Enter")
            assert page.js("document.activeElement.parentElement.open") is False
            break
    assert "filter" in reached and "button ours is" in reached and any(one.startswith("div ") for one in reached)
    assert any(one.startswith("summary Plot") for one in reached), reached


@pytest.mark.parametrize("name", ["page.html", "hostile.html"])
def test_nothing_is_wider_than_a_phone(page, folder, name):
    page.look(PHONE, 800)
    page.open(folder / name)
    assert page.js("document.documentElement.scrollWidth") <= PHONE
    assert page.js("document.querySelectorAll('main script').length") == 0
    verdict = "document.querySelector('table.sorted').rows[1].cells[1]"
    assert page.js(f"{verdict}.getBoundingClientRect().right") <= PHONE, "the verdict is seen without a scroll"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["page.html", "hostile.html"])
def test_axe_finds_nothing_serious(page, folder, name, dark, serious):
    page.look(dark=dark)
    page.open(folder / name)
    paper = page.js("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") != dark
    assert serious(page) == []


def test_without_scripts_everything_is_there(page, folder):
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.open(folder / "page.html")
        tree = page.call("Accessibility.getFullAXTree")["nodes"]
        names = [node.get("name", {}).get("value", "") for node in tree if not node.get("ignored")]
        assert any("not told apart" in name for name in names)
        assert "Cost beside score: Anime (openmoji)" in " ".join(names)
    finally:
        page.call("Emulation.setScriptExecutionDisabled", value=False)
