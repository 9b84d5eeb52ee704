"""Which cells share a standard deviation: the paper's rows do, a wild control must not widen them."""

import pandas as pd
import pytest

from bench.report.build import build_report
from bench.report.pairs import gap_text


def test_a_control_that_scatters_leaves_the_papers_rows_alone(spec, results, run, snapshots, frame):
    # as spread out as three seeds can be without Bartlett's test refusing to pool it with rows of 5 %
    levels = (900.0, 1000.0, 1110.0)
    control = frame(*(run("control", "faces", seed, snapshots((fd, 0.5, 0.5))) for seed, fd in enumerate(levels)))
    alone = build_report(spec, "smoke", results).blocks[0].cells
    beside = build_report(spec, "smoke", pd.concat([results, control], ignore_index=True)).blocks[0].cells
    for row in ("scratch", "scratch+disp", "ada"):
        cell, other = alone[row, "faces"], beside[row, "faces"]
        assert cell.pooled and cell.interval is not None and other.interval is not None
        assert (other.interval.half_width, other.interval.df) == (cell.interval.half_width, cell.interval.df)
    # three rows of three seeds among themselves; the control has its own two degrees of freedom
    assert alone["ada", "faces"].interval.df == pytest.approx(6)
    assert beside["control", "faces"].interval.df == pytest.approx(2)


@pytest.mark.parametrize(("ratio", "words"), [(1.31, "31 %"), (10.0, "900 %"), (269.6, "none below tenfold")])
def test_a_gap_that_no_seeds_could_show_has_no_per_cents(ratio, words):
    assert gap_text(ratio) == words
