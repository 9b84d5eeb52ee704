"""A report says of which scores a row has trained on the features."""

from __future__ import annotations

from bench.plan.load import load_table
from bench.report.caption import notes
from bench.report.favoured import favoured

TABLE = """
schema_version: 1
title: Two methods
seeds: 1
snapshot: final
metrics: [fd]
rows:
  - {id: plain, label: Plain, method: unconditional}
  - {id: projected, label: Projected GAN, method: diffaugment(consistency=0) + projected-gan}
columns:
  - {id: shapes, label: Shapes}
scales:
  smoke:
    network: {name: sngan-32, options: {g_width: 8, d_width: 8, z_dim: 8, sn_generator: true}}
    train: {steps: 2, batch: 8, g_lr: 1.0e-3, d_lr: 1.0e-3}
    protocol: {name: shapes, version: 1, every: 2, metrics: [METRICS]}
    columns:
      shapes: {data: {name: shapes, resolution: 32, shots: 50}, generated: 60, reference: 100}
"""
EFFNET, VGG = "{name: fd, extractor: effnet_lite0@32}", "{name: fd, extractor: vgg16@32}"


def spec(tmp_path, *metrics):
    path = tmp_path / "two.yaml"
    path.write_text(TABLE.replace("METRICS", ", ".join(metrics)))
    return load_table(str(path))


def test_a_row_that_trains_on_the_features_of_a_score_is_named(tmp_path):
    table = spec(tmp_path, VGG, EFFNET)
    (line,) = favoured(table, "smoke", {"plain", "projected"})
    wanted = "Projected GAN trains on the features of effnet_lite0@32: its scores on them are too good to compare."
    assert line == wanted and line in notes(table, "smoke", [Head("projected")], [], [])
    assert list(favoured(table, "smoke", {"plain"})) == []
    assert list(favoured(spec(tmp_path, VGG), "smoke", {"plain", "projected"})) == []


class Head:
    """What a caption asks of a row that is shown."""

    def __init__(self, name):
        self.id, self.kind, self.label, self.why = name, "ours", name, ""
