"""What the papers' own printed numbers say of each of their sentences."""

import pytest

from bench.plan.claims import every_claim
from bench.report.claims.judge import judge
from bench.report.claims.known import KnownTables
from bench.report.claims.words import printed_text

# Comparisons of a claim that the printed numbers bear out, and all of them, counted by hand from the papers' tables
CONTRADICTED = {
    "disp.memorised.baselines": (9, 10),
    "disp.t4.precision.disp-vgg16": (10, 12),
    "disp.t4.recall.disp-vgg16": (4, 12),
    "disp.t4.precision.disp-simclr": (7, 12),
    "disp.t4.recall.disp-simclr": (5, 12),
    "disp.t7.fid": (2, 4),
    "disp.t10.diffaugment-order": (3, 4),
    "disp.t10.diffaugment-plain": (3, 4),
    "dip.t1.fid.freezed": (0, 2),
    "dip.t1.fid.diffaugment": (1, 2),
    "dip.t3.fid": (71, 72),
    "dip.t3.prior-best": (19, 20),
    "dip.t10.no-copying": (23, 24),
    "lt.t5.best": (5, 6),
    "sle.t1.time256": (2, 3),
    "sle.t23.finetune-vs-scratch": (0, 1),
    "sle.t4.ours-small": (2, 3),
    "sle.t5.baseline-worse": (2, 4),
    "sle.t8.novel": (5, 6),
}
# The claims that are borne out, by the number of their comparisons
BORNE_OUT = {
    1: """disp.probe disp.t8.similar disp.t5.time disp.t5.fid dip.t1.fid.scratch dip.t1.fid.transfergan
        dip.t1.diffaugment-best lt.t1.lt.c10-cond lt.t1.lt.c10-uncond lt.t1.lt.celebahq-sndcgan
        lt.t1.lt.celebahq-stylegan lt.t1.lt.imagenet lt.t1.cr.c10-cond lt.t1.cr.c10-uncond
        lt.t1.cr.celebahq-sndcgan lt.ppl.z lt.ppl.w lt.t4.cifar lt.t4.rotation sle.t23.ten-of-twelve
        sle.t23.finetune-vs-ours sle.t7.more-data""",
    2: """disp.t1.fid.scratch disp.t1.fid.transfergan disp.t1.fid.freezed disp.t1.fid.ada
        disp.t1.fid.diffaugment disp.t1.fid.freezed.simclr disp.t1.fid.diffaugment.simclr disp.t1.recall.scratch
        disp.t1.recall.transfergan disp.t1.recall.freezed disp.t1.recall.ada disp.t1.recall.diffaugment
        disp.t1.diffaugment-best disp.memorised.disp disp.probe.simclr disp.t3.full disp.t5.small-enough
        disp.t9.freezed disp.t9.diffaugment disp.t9.grumpy disp.t13 dip.t1.scratch-vs-transfer lt.t4.ssgan
        lt.t5.lt sle.t1.double sle.t1.smaller sle.t6.combining-hurts""",
    3: """disp.t2.transfergan disp.t2.freezed disp.t2.diffaugment disp.t6.ffhq disp.t9.glann disp.t12.vgg
        disp.t12.image lt.t1.best-c10 lt.t4.all sle.t1.time1024 sle.t4.stylegan2-large""",
    4: """disp.t1.scratch-vs-transfer disp.bsa disp.t7.ivom disp.t10.freezed-w disp.t11 dip.t1.recall
        lt.t2.sndcgan lt.t2.stylegan lt.t2.ssgan sle.t5.ours-better sle.t5.ours-stable sle.t7.ae-best
        sle.t7.combining-hurts""",
    5: """sle.t2.skip sle.t2.decode sle.t2.decode-most sle.t7.gan-hurts""",
    6: """lt.t3 sle.t1.vram sle.t7.ssl-helps""",
    7: """sle.t3.baseline""",
    8: """disp.t3.stylegan2-limited disp.t6.no-copying dip.memorised sle.t6.ae-best""",
    10: """sle.t2.both sle.t4.baseline sle.t6.all-help""",
    12: """disp.t2.minegan disp.t3.biggan-limited disp.t4.fid.disp-vgg16 disp.t4.fid.disp-simclr
        sle.t7.ssl-beats-gan""",
}
NOT_PRINTED = {
    "disp.fig3c.monotone", "disp.fig3c.below", "disp.fig1.gap", "disp.fig1.fid", "disp.t5.spread", "disp.corruption",
    "dip.fig2.scores", "dip.fig2.onset", "lt.fig4.sigma", "lt.fig4.lambda", "lt.fig5", "lt.fig7", "lt.variance",
    "lt.cas.imagenet", "lt.cas.cifar", "lt.aux.linear", "lt.aux.conv", "lt.batch.base", "lt.batch.lt",
    "sle.t1.quarter-diverges", "sle.t2.stable", "sle.seeds", "sle.early-best", "sle.rotation", "sle.t6.batch16",
    "sle.fig8.below", "sle.fig8.early", "sle.fig8.shell", "sle.t7.agrees-with-fid", "sle.t8.spread", "sle.losses",
    "sle.fig9.layer", "lt.fig2",
}  # fmt: skip


@pytest.fixture(scope="module")
def printed():
    known = KnownTables()
    return {claim.id: judge(claim, table, known, None).printed for table, claim in every_claim()}


def test_every_claim_on_the_printed_numbers(printed):
    assert len(printed) == 145 and len(CONTRADICTED) == 19
    found = {name: (one.agree, one.of) for name, one in printed.items() if one is not None}
    assert len(found) == 112 and set(printed) - set(found) == NOT_PRINTED
    borne_out = {name: (count, count) for count, names in BORNE_OUT.items() for name in names.split()}
    assert found == {**borne_out, **CONTRADICTED}
    assert {name for name, one in printed.items() if one and one.contradicts} == set(CONTRADICTED)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("disp.t1.fid.scratch", "the paper's own numbers: 2/2 comparisons agree"),
        ("disp.t4.recall.disp-vgg16", "recall, cifar10: baseline 0.70 against disp-vgg16 0.64"),
        ("disp.memorised.baselines", "FID, anime: memorised 81.23 (lost in this text, from another) against ada 78.28"),
        ("disp.t10.diffaugment-order", "FID: diffaugment+disp/anime-h 48.67 against diffaugment+disp/anime-ns 48.61"),
        (
            "dip.t10.no-copying",
            "23/24 comparisons agree; against its sentence: C_T, lsun: 0 against simclr-kmeans -0.12",
        ),
        ("sle.t23.finetune-vs-scratch", "true in obama, flower, pokemon, anime, skull, shell"),
    ],
)
def test_a_contradiction_is_told_with_its_numbers(printed, name, said):
    assert said in printed_text(printed[name])


def test_what_is_not_printed_is_a_dash(printed):
    assert printed_text(printed["lt.cas.cifar"]) == "-"
