"""Every renderer shows the same cells, escapes what it is given, and LaTeX compiles."""

import io
import math
import re
import shutil
import subprocess
from xml.etree import ElementTree

import pandas as pd
import pytest

from bench.report.build import build_report
from bench.report.figures.seed_dots import picture_files, seed_dots
from bench.report.pictures import pictures, plotted_block
from bench.report.render import csv, html, latex, markdown, text
from bench.report.render.cell_text import shown_rows

ODD = "# $ & _ { } ~ ^ \\ <b> | * ` [x] \"q\" 'q' 100 % é † → 中 $(rm -rf ~) \\frac{$x$} 🦜 שלום \u202e" + "-long" * 40


@pytest.fixture
def report(spec, results):
    return build_report(spec, "mini", results)


@pytest.fixture
def odd_report(table, frame, run, snapshots):
    """Hostile labels, a diverged seed and missing cells."""
    rows = [
        {"id": "scratch", "label": ODD, "method": "baseline"},
        {"id": "bsa", "label": ODD, "printed_only": ODD},
    ]
    columns = [{"id": "anime", "label": ODD}, {"id": "faces", "label": "Faces"}]
    changes = {"title": ODD, "rows": rows, "columns": columns, "claims": [], "notes": [ODD], "best_of": 3}
    runs = [
        run("scratch", "anime", 0, snapshots((100, 0.5, 0.1))),
        run("scratch", "anime", 1, {}, status="diverged"),
    ]
    return build_report(table(**changes), "mini", frame(*runs))


def test_text_shows_cells_beside_the_printed_numbers(report):
    page = text.render(report)
    assert re.search(r"^From scratch +\d+(\.\d)? ± \d+(\.\d)? \(n=3\) \[120\.38\]", page, re.M)
    assert re.search(r"^  \+ DISP-Vgg16 +[\d.]+ ± [\d.]+ \(n=3\) \[66\.85\] \*", page, re.M)
    assert re.search(r"^BSA\* \(printed only\) +\[92\.0\]", page, re.M)
    assert "FD(effnet_lite0@96), lower is better" in page
    assert "FID" not in page.replace("[printed in disp/table1]", "")  # nothing here is on Inception features
    unwrapped = " ".join(page.split())
    for word in (
        "Scale mini",
        "stand-in: emoji for anime faces",
        "2000 generated against 1000 reference",
        "not comparable in value",
        "30 done",
        "abc1234567",
        "floor: real images",
        "memorised: ",
        "its code was never published",
        "SUPPORTED",
        "CONTRADICTED",
        "INCONCLUSIVE",
        "shared seeds",
    ):
        assert word in unwrapped, word


@pytest.mark.parametrize("width", [80, 120])
def test_text_keeps_to_its_width(report, width):
    assert max(map(len, text.render(report, width).splitlines())) <= width


def test_text_at_paper_scale_does_not_disclaim(spec, results):
    assert "not comparable in value" not in text.render(build_report(spec, "paper", results))


def test_markdown_bolds_the_marked_and_has_whole_tables(report):
    page = markdown.render(report)
    lines = [line for line in page.splitlines() if line.startswith("|")]
    assert all(line.count("|") - line.count("\\|") == 4 for line in lines)
    rows = sum(1 + 1 + len(shown_rows(report, block)) for block in report.blocks)
    assert len(lines) == rows
    assert re.search(r"\*\*[\d.]+ ± [\d.]+ \(n=3\) \\\[66\.85\\\]\*\*", page)


def test_hostile_labels_cannot_break_out(odd_report):
    page = markdown.render(odd_report)
    tables = [line for line in page.splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 4 for line in tables)
    assert not any(cell.mark for block in odd_report.blocks for cell in block.cells.values())
    web = html.render(odd_report)
    assert "<b>" not in web and "&lt;b&gt;" in web


def test_hostile_labels_are_drawn_as_they_are(odd_report):
    """A dollar sign in a name begins no formula, in no figure."""
    (curves,) = pictures(odd_report)
    assert curves.png.startswith(b"\x89PNG")
    svg, png = picture_files(seed_dots(odd_report, odd_report.blocks[0]))
    assert ODD[:20] in "".join(ElementTree.fromstring(svg).itertext()) and png.startswith(b"\x89PNG")


def test_csv_lets_anyone_redo_the_cells(report, results):
    raw = pd.read_csv(io.StringIO(csv.raw(report)))
    assert len(raw) == len(results) and set(raw["scale"]) == {"mini"}
    assert raw["value"].to_numpy() == pytest.approx(results["value"].to_numpy())
    cells = pd.read_csv(io.StringIO(csv.cells(report)))
    line = cells.query("row == 'scratch' and column == 'anime' and metric == 'fd' and snapshot == 'final'").iloc[0]
    seeds = raw.query("row == 'scratch' and column == 'anime' and metric == 'fd' and step == 20")["value"]
    assert line["mean"] == pytest.approx(seeds.mean())
    assert [float(pair.split(":")[1]) for pair in line["values"].split()] == pytest.approx(list(seeds))
    assert (line["n"], line["planned"]) == (3, 3)
    printed = cells.query("row == 'bsa' and column == 'faces' and metric == 'fd' and snapshot == 'best'").iloc[0]
    assert printed["printed"] == 123.2 and math.isnan(printed["mean"])


def test_latex_escapes_everything():
    assert latex.escape("a_b & 50 % {x} \\ ~^#$") == (
        r"a\_b \& 50 \% \{x\} \textbackslash{} \textasciitilde{}\textasciicircum{}\#\$"
    )
    assert latex.escape("8 ± 1 † ∞ é") == r"8 $\pm$ 1 $\dagger$ $\infty$ é"
    assert latex.escape("中") == r"\texttt{U+4E2D}"


def test_latex_has_booktabs_rules_and_bold_marks(report):
    page = latex.render(report)
    tables = len(report.blocks)
    for rule in ("\\toprule", "\\bottomrule", "\\begin{tabular}", "\\end{tabular}"):
        assert page.count(rule) == tables
    assert re.search(r"\\textbf\{\\boldmath [\d.]+ \$\\pm\$ [\d.]+ \(n=3\) \{\[\}66\.85\{\]\}\}", page)


@pytest.mark.parametrize("which", ["report", "odd_report"])
def test_latex_compiles(which, request, tmp_path, lacks):
    if shutil.which("pdflatex") is None:
        lacks(
            "not installed: pdflatex; this brings it: "
            "apt-get install -y --no-install-recommends texlive-latex-base texlive-latex-recommended"
        )
    (tmp_path / "report.tex").write_text(latex.document(request.getfixturevalue(which)))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=300)
    log = done.stdout.decode(errors="replace")
    assert done.returncode == 0, log[-3000:]
    assert "Missing character" not in (tmp_path / "report.log").read_text(errors="replace")
    assert (tmp_path / "report.pdf").stat().st_size > 10_000


def test_a_table_of_which_nothing_is_scored_has_no_curves(table, results):
    without = build_report(table(metrics=[], claims=[]), "mini", results)
    assert plotted_block(without) is None and pictures(without) == []
    unscored = build_report(table(), "mini", results.assign(value=math.nan))
    assert plotted_block(unscored) is None and pictures(unscored) == []
    (curves,) = pictures(build_report(table(metrics=["precision"], claims=[]), "mini", results))
    assert curves.caption == "Precision over the training's steps"
