"""Pages for a browser: they hold every cell, nest, load nothing from elsewhere, and survive hostile names."""

import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from PIL import Image

from bench.contract.discovery import methods
from bench.contract.signature import signature
from bench.plan.load import load_table
from bench.report.build import build_report
from bench.report.html.curve import Seed, curve_svg
from bench.report.html.details import Known
from bench.report.html.index import IndexEntry, ScaleState
from bench.report.html.methods import PaperView, methods_view
from bench.report.html.page import Extras
from bench.report.html.site import whole, write_site
from bench.report.html.tables import score_views
from bench.report.leaderboard import leaderboard
from bench.report.pictures import Picture, pictures
from bench.report.render import html
from bench.report.render.cell_text import shown_rows

VOID = {"meta", "link", "img", "input"}
INDEX = [
    IndexEntry("disp/table1", "table", "Few-shot", {"smoke": ScaleState(9, 0, "1 min", 60.0),
                                                    "mini": ScaleState(18, 18, "2 h", 7200.0)}, {}),
    IndexEntry("lt/fig2", "waits for <b>", "A <b>title</b>", {}, {}),
]  # fmt: skip


class Page(HTMLParser):
    """A page that is read: tags nest; its cells by class, its ids, and every address in it."""

    def __init__(self, text):
        super().__init__()
        self.stack, self.cells, self.ids, self.addresses, self.text = [], [], [], [], []
        self.feed(text)
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids += [values["id"]] if "id" in values else []
        self.addresses += [values[name] for name in ("src", "href", "data", "srcset", "action") if name in values]
        if tag not in VOID:
            self.stack.append(tag)
        if tag == "td" and "data-key" in values:
            self.cells.append("")

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if "td" in self.stack and self.cells:
            self.cells[-1] += data


def picture(colour):
    written = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(written, "PNG")
    return Picture(f"{colour} <samples>", written.getvalue())


@pytest.fixture
def report(spec, results):
    return build_report(spec, "mini", results)


@pytest.fixture
def extras(report):
    known = Known({("scratch", "anime"): picture("red")}, {("scratch", "anime"): picture("blue")},
                  {"scratch_anime_s0": [("machine", "a <CPU>")]})  # fmt: skip
    return Extras(pictures(report), known)


def test_a_page_nests_and_holds_every_cell(report):
    page = Page(html.render(report))
    shown = {cell.text for block in report.blocks for _, cells in shown_rows(report, block) for cell in cells}
    assert shown <= {cell.partition(" rank ")[0].strip() for cell in page.cells}
    assert len(set(page.ids)) == len(page.ids)
    assert {address[1:] for address in page.addresses if address.startswith("#")} <= {*page.ids}


def test_one_file_loads_nothing(report, extras):
    """To send to somebody: nothing beside it is needed, and its pictures are whole."""
    page = Page(whole([(report, extras), (replace(report, scale="smoke"), Extras())], INDEX))
    inside = [address for address in page.addresses if not address.startswith("#")]
    assert len(inside) == 3 and all(address.startswith("data:image/png;base64,") for address in inside)
    assert {"disp-table1-mini-top", "disp-table1-smoke-top"} <= {*page.ids} and len(set(page.ids)) == len(page.ids)
    assert "#disp-table1-mini-top" in page.addresses


def test_a_folder_holds_what_its_pages_name(report, extras, tmp_path):
    write_site(tmp_path, [(report, extras)], INDEX)
    for name in ("index.html", "disp-table1-mini.html"):
        page = Page((tmp_path / name).read_text())
        for address in page.addresses:
            assert address.startswith("#") or (tmp_path / address).is_file(), address
    table = (tmp_path / "disp-table1-mini.html").read_text()
    assert "a &lt;CPU&gt;" in table and "red &lt;samples&gt;" in table and "<samples>" not in table
    index = (tmp_path / "index.html").read_text()
    assert 'href="disp-table1-mini.html"' in index and "disp-table1-smoke.html" not in index
    assert "18 of 18" not in index and ">done<" in index and "waits for &lt;b&gt;" in index


def test_the_leaderboard_is_a_page_that_the_index_leads_to(report, extras, tmp_path):
    write_site(tmp_path, [], INDEX)
    assert "leaderboard" not in (tmp_path / "index.html").read_text()
    written = write_site(tmp_path, [(report, extras)], INDEX, leaderboard())
    assert tmp_path / "leaderboard.html" in written
    assert 'href="leaderboard.html"' in (tmp_path / "index.html").read_text()
    page = Page((tmp_path / "leaderboard.html").read_text())
    assert {"index.html", "disp-table1-mini.html", "#tables"} <= {*page.addresses}
    assert all(one.startswith("#") or (tmp_path / one).is_file() for one in page.addresses)
    (ranking, *_) = leaderboard().rankings
    shown = len(ranking.entries) + len(ranking.points)
    assert len(page.cells) >= shown * (len(ranking.further) + 5) and "not ranked, and not comparable" in "".join(
        page.text
    )


def test_claims_stand_with_the_score_that_they_compare(report):
    fd, precision, _ = score_views(report)
    assert [claim.id for claim in fd.claims] == ["helps", "hurts", "same"] and precision.claims == []
    page = html.render(report)
    assert page.index("DISP improves") < page.index("precision(effnet")


def test_the_tables_own_rule_comes_first_and_cells_sort_by_their_centre(report):
    (best, final), *_ = [score.rules for score in score_views(report)]
    assert (best.rule, best.block.paper_rule, final.rule) == ("best", True, "final")
    cells = {row.head.id: row.cells[0] for row in best.rows}
    assert float(cells["scratch"].key) == pytest.approx(best.block.cells["scratch", "anime"].centre)
    assert float(cells["bsa"].key) == 92.0 and cells["bsa"].anchor == ""  # printed only: nothing to open


def test_curves_stay_in_their_picture():
    seeds = [Seed(0, [(10, 90.0), (20, 45.0)]), Seed(1, [(10, 80.0), (20, 1000.0)], diverged=True)]
    svg = str(curve_svg('a "b" <c>', seeds, {"floor": 60.0, "far": 1.0}, log=True))
    points = [float(x) for pair in re.findall(r'points="([^"]*)"', svg) for x in re.split("[ ,]", pair.strip())]
    assert all(0 <= x <= 320 for x in points) and "floor" in svg and "far" not in svg and "†" in svg
    assert "&lt;c&gt;" in svg and curve_svg("empty", [], {}, log=False) == ""


def test_a_plot_stands_in_the_page_and_as_a_file(report, tmp_path):
    """Seeds, intervals and reference points, in the page's own colours, with ids of their own."""
    write_site(tmp_path, [(report, Extras(plots=True))], [])
    page = (tmp_path / "disp-table1-mini.html").read_text()
    svgs = re.findall(r"<svg class=\"plot\".*?</svg>", page, re.DOTALL)
    assert len(svgs) == len(report.blocks) and all("floor" in svg and "memorised" in svg for svg in svgs[:1])
    assert "currentColor" in svgs[0] and "var(--s0)" in svgs[0] and "#1b1b1d" not in svgs[0]
    ids = Page(page).ids
    assert len(set(ids)) == len(ids)
    assert len(list((tmp_path / "disp-table1-mini").glob("plot-*.png"))) == len(svgs)


def test_marks_are_ranks_and_letters_not_a_page_of_bold_type(report, spec, results):
    page = html.render(report)
    assert re.search(r'class="best".*?rank 1(–2)? · a ★', page, re.DOTALL) and "<b>" not in page.split("Claims")[0]
    assert re.search(r"rank 3 · [bc]</span>", page)
    smoke = html.render(build_report(spec, "smoke", results))
    assert "rank 1" not in smoke and "★" not in smoke and "Smoke numbers rank nothing" in smoke


def test_methods_stand_with_their_papers():
    spec = load_table("disp/table1")
    view = methods_view(spec, "smoke", {"scratch", "ada+disp"})
    assert [row for row, _ in view.rows] == ["scratch", "ada+disp"]
    (paper,) = next(part for part in view.parts if part.name == "ada-lite").papers
    assert (paper.year, paper.address) == ("2020", "https://arxiv.org/abs/2006.06676")
    assert PaperView("a", "1", "t", "javascript:alert(1)").address == ""
    lacking = [entry.name for entry in methods() if not signature(entry.target).papers]
    assert lacking == []
