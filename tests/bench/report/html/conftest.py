"""A browser for all tests of pages, and axe-core in it."""

import json
from pathlib import Path

import pytest

from browser import Browser, chromium

AXE = Path(__file__).parents[4] / ".ci/cache/axe/node_modules/axe-core/axe.min.js"


@pytest.fixture(scope="session")
def chrome():
    """A headless Chromium; None where there is none: `lacks` then says what brings it."""
    program = chromium()
    one = Browser(program) if program is not None else None
    yield one
    if one is not None:
        one.close()


@pytest.fixture
def serious(lacks):
    """A function of a browser: what axe-core finds serious on its page, by the rules of WCAG 2.2 A and AA."""
    if not AXE.exists():
        lacks("not installed: axe-core; this brings it: npm install --prefix .ci/cache/axe axe-core@4.14.1")

    def serious(browser):
        browser.js(AXE.read_text() + ";0")
        options = {"resultTypes": ["violations"], "preload": False}  # it would ask for the style of a file, in vain
        found = browser.js(f"axe.run(document, {json.dumps(options)}).then(r => r.violations.map(v => "
                           "[v.impact, v.id, v.nodes.slice(0, 3).map(n => n.html.slice(0, 200))]))")  # fmt: skip
        return [one for one in found if one[0] in ("serious", "critical")]

    return serious
