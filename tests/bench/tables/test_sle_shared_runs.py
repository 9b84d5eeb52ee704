"""FastGAN's tables name one training where the paper has one, at every scale; and what their small scales cost."""

from __future__ import annotations

import pytest

from bench.data.smaller_sets import whole_name
from bench.networks import build
from bench.plan.load import load_table
from sheets import trainings

TABLES = ("table2", "table3", "table4", "table6", "fig8", "rotation", "losses", "batch16", "quarter")
SCALES = ("paper", "midi", "mini", "smoke")


def run(cell, scale):
    """That of "table3 ours/art"."""
    table, _, name = cell.partition(" ")
    row, _, column = name.partition("/")
    return trainings(f"sle/{table}", scale)[row, column]


SAME = [
    *[(f"table6 ae/{column}", f"table4 ours/{column}") for column in ("art-10k", "nature-10k")],
    *[(f"fig8 baseline/{column}", f"table3 baseline/{column}") for column in ("flower", "ffhq", "shell", "art")],
    *[(f"rotation baseline/{column}", f"table4 baseline/{column}") for column in ("art-10k", "ffhq-10k")],
    *[(f"losses hinge/{column}", f"table2 ours/{column}") for column in ("dog", "obama")],
    *[(f"quarter baseline/{column}", f"table3 baseline/{column}") for column in ("art", "ffhq", "shell")],
    *[(f"quarter sg2/{column}", f"table3 sg2/{column}") for column in ("art", "skull")],
    *[(f"table7 baseline/{column}", f"table2 baseline/{column}") for column in ("grumpy-cat", "obama")],
    *[(f"table7 ae/{column}", f"table2 decode/{column}") for column in ("grumpy-cat", "obama")],
    *[(f"table7 baseline/{name}-1k", f"table3 baseline/{name}") for name in ("ffhq", "art")],
    ("table7 sg2/art-1k", "table3 sg2/art"),
    ("fig1 ours/ffhq", "table3 ours/ffhq"),
]  # fmt: skip


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_tables_name_one_training(one, other, scale):
    assert run(one, scale).uid == run(other, scale).uid


@pytest.mark.parametrize(("one", "other"), [("batch16 ae/art-10k", "table6 ae/art-10k"),
                                            ("quarter sg2-quarter/art", "quarter sg2/art"),
                                            ("table4 sg2/art-10k", "table3 sg2/art")])  # fmt: skip
@pytest.mark.parametrize("scale", SCALES)
def test_what_differs_in_batch_or_width_is_another_training(one, other, scale):
    assert run(one, scale).uid != run(other, scale).uid


def test_at_mini_10k_of_table4_is_what_1000_are_in_table3():
    for row in ("baseline", "ours"):
        for name in ("art", "ffhq"):
            assert run(f"table4 {row}/{name}-10k", "mini").uid == run(f"table3 {row}/{name}", "mini").uid


def distinct(scale):
    """uid -> every training of one seed, those that others start from among them."""
    found = {}
    for name in TABLES:
        for spec in trainings(f"sle/{name}", scale).values():
            found |= {one.uid: one for one in (spec, *spec.run_sources.values())}
    return found


def test_small_scales_stay_in_their_budget():
    """At most 110 trainings at mini, and at smoke no training of more than 30 steps or 256 images."""
    assert len(distinct("mini")) <= 110
    smoke = distinct("smoke").values()
    assert len(smoke) <= 114
    assert max(one.train.steps for one in smoke) <= 30
    assert max(one.train.steps * one.train.batch for one in smoke) <= 256


@pytest.mark.parametrize("scale", ["midi", "mini", "smoke"])
def test_small_scales_use_drawn_sets_and_say_for_what_they_stand(scale):
    for name in TABLES:
        table = load_table(f"sle/{name}")
        for row, column in table.trained_cells(scale):
            spec, cell = table.run_spec(row, column, 0, scale), table.cell(row, column, scale)
            assert cell.stand_in and spec.data.resolution == 64
            assert whole_name(spec.data.name).startswith(("avatars-", "creatures-", "drawn-", "faces-", "one-"))
            assert spec.protocol.split == "training-images"


@pytest.mark.parametrize("scale", ["midi", "mini", "smoke"])
def test_finetuning_starts_from_a_network_of_the_same_width_on_the_stand_in_of_ffhq(scale):
    tuned = {spec.run_sources["network"].uid: spec for table in ("table2", "table3")
             for (row, _), spec in trainings(f"sle/{table}", scale).items() if row == "sg2-ft"}  # fmt: skip
    (spec,) = tuned.values()
    source = spec.run_sources["network"]
    assert source.network == spec.network and source.data.name == run("table3 ours/ffhq", scale).data.name
    assert source.method == spec.method[1:]


def test_widths_of_stylegan2_at_small_scales_are_in_the_papers_order():
    for scale in ("midi", "mini", "smoke"):
        cells = ("quarter sg2-quarter/art", "table3 sg2/art", "table4 sg2/art-10k")
        counts = []
        for cell in cells:
            network = run(cell, scale).network
            generator, _ = build(network.name, **network.options)
            counts.append(sum(parameter.numel() for parameter in generator.parameters()))
        assert counts == sorted(counts) and len(set(counts)) == 3
