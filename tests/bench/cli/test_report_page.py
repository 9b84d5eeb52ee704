"""`bench report --single` and `--output`: a page that can be sent to somebody."""

from __future__ import annotations

import html
import re

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from bench.cli.report import report
from bench.data.draws import training_images
from bench.plan.load import load_table
from bench.plan.runs import make_plan
from bench.store.runs import Store
from bench.train.sampling import save_sheet


@pytest.mark.slow
def test_the_page_holds_what_the_folder_holds(store_root, tmp_path, monkeypatch):
    spec = load_table("table1")
    folder = Store(store_root).open(spec.run_spec(spec.rows[0], spec.columns[0], 0, "smoke"))
    line = {
        "metric": "fd",
        "extractor": "effnet_lite0@64",
        "error": None,
        "n_generated": 100,
        "n_reference": 200,
    }
    folder.append(folder.metrics_log, [{**line, "step": step, "value": 900.0 - step} for step in (30, 60)])
    save_sheet(folder.path / "samples" / "step-00000060.png", np.zeros((10, 32, 32, 3), np.uint8))
    folder.finish({"steps": 60, "diverged_at": None, "weights_sha256": None, "seconds": 1.0})
    page = CliRunner().invoke(report, ["table1", "--scale", "smoke", "--single"], catch_exceptions=False)
    assert page.exit_code == 0 and page.output.count('<img src="data:image/png;base64,') == 2
    out = tmp_path / "out"
    made = CliRunner().invoke(report, ["table1", "--scale", "smoke", "--output", str(out)], catch_exceptions=False)
    assert made.exit_code == 0
    written = (out / "disp-table1-smoke.html").read_text()
    assert written.count("<img") == 2 and 'src="disp' not in written
    assert (out / "disp-table1-smoke.fd.png").exists()
    assert [path.name for path in (out / "disp-table1-smoke.samples").iterdir()] == ["scratch.png"]
    # The folder of pages, opened in a browser
    site, opened = tmp_path / "site", list[str]()
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    words = ["table1", "--scale", "smoke", "--html", str(site), "--open"]
    made = CliRunner().invoke(report, words, catch_exceptions=False)
    assert made.exit_code == 0 and opened == [(site / "disp-table1-smoke.html").as_uri()]
    index = (site / "index.html").read_text()
    assert 'href="disp-table1-smoke.html"' in index and "lt/table1" in index and "1 of 98 done" in index
    assert (site / "disp-table1-smoke" / "cell-1-1-samples.png").exists()
    refused = {"--latex is printed": ["--latex", "--single"], "--claims is one page": ["--claims", "--open"]}
    for message, odd in refused.items():
        assert CliRunner().invoke(report, ["table1", *odd]).exception.args[0].startswith(message)


@pytest.mark.slow
def test_samples_stand_above_their_nearest_training_images(store_root, tmp_path):
    """A sheet of training images is found to be one of copies, by LPIPS and by features."""
    spec = load_table("table1")
    run = spec.run_spec(spec.rows[0], spec.columns[0], 0, "smoke")
    folder, train = Store(store_root).open(run), training_images(run.data, 0).images
    copies = np.array(train[[7, 3, 90, 41]])
    save_sheet(folder.sheet(60), np.concatenate([copies, 255 - copies]))
    folder.finish({"steps": 60, "diverged_at": None, "weights_sha256": None, "seconds": 1.0})
    words = ["table1", "--scale", "smoke", "--rows", "scratch", "--nearest"]
    made = CliRunner().invoke(report, [*words, "--output", str(tmp_path)], catch_exceptions=False)
    assert made.exit_code == 0, made.output
    page = (tmp_path / "disp-table1-smoke.html").read_text()
    assert f"Samples of scratch above their nearest training images (anime: run {run.uid}, seed 0, step 60)" in page
    with Image.open(tmp_path / "disp-table1-smoke.nearest" / "scratch.png") as panel:
        pixels = np.asarray(panel).astype(int)
    tall, wide = 64 + 2, 64 + 2  # of a picture as it is drawn, with its gap
    rows = [pixels[top : top + 64] for top in range(pixels.shape[0] - 14 - 3 * tall + 2, pixels.shape[0] - 14, tall)]
    left = pixels.shape[1] - 14 - 8 * wide + 2
    first, far = (slice(left, left + 4 * wide - 2), slice(left + 4 * wide, left + 8 * wide - 2))
    for nearest in rows[1:]:
        assert np.array_equal(nearest[:, first], rows[0][:, first]), "copies are found"
        assert not np.array_equal(nearest[:, far], rows[0][:, far])
    assert CliRunner().invoke(report, words).exception.args[0].startswith("--nearest makes pictures")


SEVERAL = """\
schema_version: 1
title: Several
seeds: 1
snapshot: final
metrics: [fd]
rows:
  - {id: plain, label: Plain, method: unconditional}
  - {id: again, label: Again, method: unconditional, of: {row: plain}, evaluate: {measure: rescore}}
  - {id: near, label: Near, method: unconditional, of: {row: plain}, evaluate: {measure: nearest, samples: 4}}
columns: [{id: one, label: One}, {id: two, label: Two}]
scales:
  smoke:
    network: {name: sngan-32, options: {g_width: 8, d_width: 8, z_dim: 16, sn_generator: true}}
    train: {steps: 3, batch: 4, g_lr: 1.0e-3, d_lr: 1.0e-3}
    protocol: {name: tiny, version: 1, every: 3, metrics: [{name: fd, extractor: effnet_lite0@32}]}
    columns:
      one: {data: {name: shapes, resolution: 32, shots: 16}, generated: 24, reference: 30}
      two: {data: {name: digits, resolution: 32, shots: 16}, generated: 24, reference: 30}
"""


def test_every_row_has_a_panel_those_of_evaluations_too(store_root, tmp_path):
    """Every column in it; a picture of pairs, as `nearest` keeps one, is not taken for one of samples."""
    (tmp_path / "several.yaml").write_text(SEVERAL)
    table, store = load_table(str(tmp_path / "several.yaml")), Store(store_root)
    for run in make_plan(table, "smoke", store).runs:
        folder, own = store.open(run.spec), training_images(run.spec.data, 0).images[:8]
        save_sheet(folder.sheet(3), own if run.spec.kind == "evaluate" else 255 - own)
        folder.finish({"steps": 3, "diverged_at": None, "weights_sha256": None, "seconds": 1.0})
    words = [str(tmp_path / "several.yaml"), "--scale", "smoke", "--nearest"]
    page = CliRunner().invoke(report, [*words, "--single"], catch_exceptions=False).stdout
    panels = set(re.findall(r"Samples of (\w+) above their nearest .*? \((\w+): run (.+?)_", html.unescape(page)))
    of = {"plain": "unconditional", "again": "rescore-unconditional", "near": "unconditional"}
    assert panels == {(row, column, of[row]) for row in of for column in ("one", "two")}
    assert page.count('src="data:image/png') >= 6
    CliRunner().invoke(report, [*words, "--html", str(tmp_path / "site")], catch_exceptions=False)
    site = "".join(path.read_text() for path in (tmp_path / "site").rglob("*.html"))
    assert all(f"Samples of {row} above their nearest training images" in site for row in of)
