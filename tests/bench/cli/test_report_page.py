"""`bench report --html` and `--output`: a page that can be sent to somebody."""

from __future__ import annotations

import numpy as np
from click.testing import CliRunner

from bench.cli.report import report
from bench.plan.load import load_table
from bench.store.runs import Store
from bench.train.sampling import save_sheet


def test_the_page_holds_what_the_folder_holds(store_root, tmp_path):
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
    page = CliRunner().invoke(report, ["table1", "--scale", "smoke", "--html"], catch_exceptions=False)
    assert page.exit_code == 0 and page.output.count('<img src="data:image/png;base64,') == 2
    out = tmp_path / "out"
    made = CliRunner().invoke(report, ["table1", "--scale", "smoke", "--output", str(out)], catch_exceptions=False)
    assert made.exit_code == 0
    written = (out / "disp-table1-smoke.html").read_text()
    assert written.count("<img") == 2 and 'src="disp' not in written
    assert (out / "disp-table1-smoke.fd.png").exists()
    assert [path.name for path in (out / "disp-table1-smoke.samples").iterdir()] == ["scratch.png"]
