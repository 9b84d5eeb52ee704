"""The pages in a headless Chromium: by mouse, by keyboard, on a phone, in the dark, and by a screen reader's rules."""

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.report.build import build_report
from bench.report.html.details import Known
from bench.report.html.index import IndexEntry, ScaleState
from bench.report.html.page import Extras
from bench.report.html.site import whole, write_site
from bench.report.leaderboard import leaderboard
from bench.report.pictures import Picture, pictures
from browser import Browser, chromium

AXE = Path(__file__).parents[4] / ".ci/cache/axe/node_modules/axe-core/axe.min.js"
PAGE = "disp-table1-mini.html"
OPEN = "(link => link !== null && (link.click(), true))(document.querySelector('td a[href^=\"#\"]'))"
PHONE = 380  # CSS pixels
LONG = "a-very-long-name-" * 12
HOSTILE = f"<script>alert(1)</script> \\frac{{$x$}} `$(rm -rf)` \"q\" 'q' 🦜👩‍👩‍👧 שלום مرحبا \u202e{LONG}"


def picture():
    written = io.BytesIO()
    Image.fromarray(np.zeros((40, 600, 3), np.uint8)).save(written, "PNG")
    return Picture("Samples of scratch", written.getvalue())


@pytest.fixture(scope="module")
def site(table, simulated, tmp_path_factory):
    """A folder of pages, and one file in which every name is hostile."""
    folder, results = tmp_path_factory.mktemp("site"), simulated()
    report = build_report(table(), "mini", results)
    samples = {("scratch", "anime"): picture()}
    index = [IndexEntry("disp/table1", "table", "Few-shot", {"mini": ScaleState(18, 18, "2 h", 7200.0)}, {}),
             IndexEntry("lt/fig2", "pictures", HOSTILE, {"smoke": ScaleState(4, 0, "1 min", 60.0)}, {})]  # fmt: skip
    write_site(folder, [(report, Extras(pictures(report), Known(samples, samples), plots=True))], index, leaderboard())
    rows = [{"id": "scratch", "label": HOSTILE, "method": "baseline"},
            {"id": "ada", "label": f"+ {HOSTILE}", "printed_only": HOSTILE}]  # fmt: skip
    columns = [{"id": "anime", "label": HOSTILE}, {"id": "faces", "label": "مرحبا"}]
    hostile = table(rows=rows, columns=columns, title=HOSTILE, notes=[HOSTILE], claims=[])
    (folder / "hostile.html").write_text(
        whole([(build_report(hostile, "mini", results), Extras((), Known(samples)))], index), encoding="utf-8"
    )
    return folder


@pytest.fixture(scope="module")
def browser(site, request):
    program = chromium()
    if program is None:
        request.getfixturevalue("lacks")("not installed: chromium; this brings it: apt-get install -y chromium")
        return
    one = Browser(program)
    yield one
    one.close()


@pytest.fixture
def page(browser, site):
    """The table's page, wide and light; nothing goes wrong on it and nothing is asked of a network."""
    browser.look()
    browser.open(site / PAGE)
    yield browser
    assert browser.problems == []
    assert [url for url in browser.requests if not url.startswith(("file:", "data:"))] == []


def rows(page, score=0):
    """The rows of a score's table that are seen, by id, in their order."""
    return page.js(
        f"[...document.querySelectorAll('.score')[{score}].querySelectorAll('.rule:not([hidden]) tbody tr')]"
        ".filter(row => row.checkVisibility()).map(row => row.dataset.id)"
    )


def keys(page, column):
    """The numbers of a column as they stand; nan for a cell without one."""
    texts = page.js(
        "[...document.querySelectorAll('.score')[0].querySelectorAll('.rule:not([hidden]) tbody tr')]"
        f".map(row => row.cells[{column}].dataset.key)"
    )
    return [float(text) if text else math.nan for text in texts]


def test_a_press_sorts_and_the_third_brings_the_tables_order_back(page):
    own, head = rows(page), ".rule:not([hidden]) thead th:nth-child(3) button"
    page.click(head)
    up = keys(page, 2)
    known = [key for key in up if not math.isnan(key)]
    assert known == sorted(known) and all(math.isnan(key) for key in up[len(known) :])
    assert page.js("document.querySelector('th[aria-sort]').ariaSort") == "ascending"
    page.click(head)
    down = keys(page, 2)
    assert down[: len(known)] == sorted(known, reverse=True) and rows(page) != own
    page.click(head)
    assert rows(page) == own and page.js("document.querySelector('th[aria-sort]')") is None


def test_rows_are_filtered_by_name_and_kind_and_the_count_is_said(page):
    page.click("input[type=search]")
    for letter in "disp":
        page.press(letter)
    assert rows(page) == ["scratch+disp"] and rows(page, 1) == ["scratch+disp"]
    assert page.js("document.querySelector('output').textContent").startswith("1 of ")
    page.js("document.querySelector('input[type=search]').value = ''")
    page.click("input[value=reference]")
    assert "floor" not in rows(page) and "scratch" in rows(page)


def test_the_other_snapshot_rule_is_behind_a_switch(page):
    shown = "[...document.querySelectorAll('.rule')].filter(r => r.checkVisibility()).map(r => r.dataset.rule)"
    assert set(page.js(shown)) == {"best"}
    page.click("input[value=final]")
    assert set(page.js(shown)) == {"final"}


def test_a_cell_opens_to_its_seeds_and_escape_leads_back(page, site):
    page.click("td a")
    told = page.js("document.querySelector('dialog[open]').innerText")
    for word in ("From scratch · Anime", "seed", "done", "Samples of scratch", "Runs"):
        assert word in told, word
    assert page.js("document.querySelectorAll('dialog svg.curve').length") == 3
    assert page.js("location.hash") == "#cell-1-1"
    page.press("Escape")
    assert page.js("document.querySelector('dialog').open") is False
    # They come back with the dialog's event `close`, which follows its closing when the browser gets round to it
    back = "document.querySelector('#cell-1-1 .body').childNodes.length > 3"
    page.js(f"new Promise(done => {{ const look = () => {back} ? done() : setTimeout(look, 10); look() }})")
    page.open(site / PAGE, "#cell-2-1")
    assert "+ DISP-Vgg16" in page.js("document.querySelector('dialog[open] h2').innerText"), "a link to a cell opens it"


def test_all_of_it_by_keyboard(page):
    """Tab reaches the filter, the switch, a column's button and a cell; keys work on each; focus comes back."""
    reached = []
    for _ in range(30):
        page.press("Tab")
        reached.append(
            page.js("(e => e.matches('td a') ? 'cell' : e.name || e.textContent.trim())(document.activeElement)")
        )
        if reached[-1] == "rule":
            page.press("ArrowRight")
            assert page.js("document.querySelector('input[value=final]').checked")
            page.press("ArrowLeft")
        if reached[-1] == "Anime (openmoji)":
            page.press("Enter")
            assert page.js("document.activeElement.closest('th').ariaSort") == "ascending"
        if reached[-1] == "cell":
            break
    assert {"filter", "kind", "rule", "Anime (openmoji)", "cell"} <= set(reached), reached
    page.press("Enter")
    assert page.js("document.querySelector('dialog').open") is True
    assert page.js("document.querySelector('dialog').contains(document.activeElement)")
    page.press("Escape")
    assert page.js("document.activeElement.matches('td a')")


def test_the_leaderboard_is_reached_sorted_and_filtered(browser, site):
    """What ships is ranked: by rank, by a press by hours or name, and by what is typed."""
    browser.look()
    browser.open(site / "index.html")
    browser.click("main a[href='leaderboard.html']")
    browser.open(site / "leaderboard.html")
    ids = "[...document.querySelector('.score tbody').rows].filter(r => r.checkVisibility()).map(r => r.dataset.id)"
    own = browser.js(ids)
    browser.click(".score thead th:nth-child(1) button")
    assert browser.js(ids) != own and sorted(browser.js(ids)) == sorted(own)
    scores = "[...document.querySelector('.score tbody').rows].map(r => r.cells[2].dataset.key)"
    browser.click(".score thead th:nth-child(3) button")
    values = [float(text) for text in browser.js(scores) if text]
    assert values == sorted(values) and len(values) > 3
    browser.js("(box => { box.value = 'diffaugment'; box.dispatchEvent(new Event('input', {bubbles: true})) })"
               "(document.querySelector('input[name=filter]'))")  # fmt: skip
    assert browser.js(ids) and all("diffaugment" in one for one in browser.js(ids))
    assert browser.problems == []


@pytest.mark.parametrize("name", [PAGE, "index.html", "leaderboard.html", "hostile.html"])
def test_nothing_is_wider_than_a_phone(browser, site, name):
    browser.look(PHONE, 800)
    browser.open(site / name)
    assert browser.js("document.documentElement.scrollWidth") <= PHONE
    if browser.js("document.querySelector('td a') !== null"):
        browser.click("td a")
        assert browser.js("document.querySelector('dialog').getBoundingClientRect().right") <= PHONE
        assert browser.js("(d => d.scrollWidth - d.clientWidth)(document.querySelector('dialog'))") <= 0
    assert browser.problems == [] and browser.js("document.querySelectorAll('main script').length") == 0


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", [PAGE, "index.html", "leaderboard.html", "hostile.html"])
def test_axe_finds_nothing_serious(browser, site, name, dark, lacks):
    """axe-core's rules of WCAG 2.2 A and AA, also of an open cell; contrast is among them, in either scheme."""
    if not AXE.exists():
        lacks("not installed: axe-core; this brings it: npm install --prefix .ci/cache/axe axe-core@4.14.1")
    browser.look(dark=dark)
    browser.open(site / name)
    paper = browser.js("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") != dark
    browser.js(AXE.read_text() + ";0")
    for opened in (False, True):
        if opened and not browser.js(
            "(link => link && (link.click(), true))(document.querySelector('td a[href^=\"#\"]'))"
        ):
            continue
        options = {"resultTypes": ["violations"]}
        found = browser.js(f"axe.run(document, {json.dumps(options)}).then(r => r.violations.map(v => "
                           "[v.impact, v.id, v.nodes.slice(0, 3).map(n => n.html.slice(0, 200))]))")  # fmt: skip
        assert [one for one in found if one[0] in ("serious", "critical")] == []


def test_without_scripts_everything_is_there(browser, site):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.look()
        browser.open(site / PAGE)
        tree = browser.call("Accessibility.getFullAXTree")["nodes"]
        names = [node.get("name", {}).get("value", "") for node in tree if not node.get("ignored")]
        assert sum("best snapshot" in name for name in names) and sum("final snapshot" in name for name in names)
        assert any(name.startswith("From scratch · Anime") for name in names)
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
