"""The papers' printed numbers are whole: every table with as many numbers, and as large ones, as its paper prints."""

import re
from decimal import Decimal

import pytest

from bench.report.printed import printed_tables, printed_texts, read_marks, read_printed
from bench.report.render.printed_text import printed_text

# How many numbers a table prints (standard deviations, values in brackets and lost ones too), and the sum of those
# that the text at hand has: taken from the papers' text by a second reading, not from the CSV files.
PRINTED = {
    "disp/table1": (80, "2473.152"),
    "disp/table2": (24, "1644.97"),
    "disp/table3": (42, "834.09"),
    "disp/table4": (66, "366.40"),
    "disp/table5": (8, "7858.59"),
    "disp/table6": (15, "48.52"),
    "disp/table7": (12, "591.0322"),
    "disp/table8": (5, "84.84"),
    "disp/table9": (18, "563.70"),
    "disp/table10": (24, "2611.85"),
    "disp/table11": (6, "873.14"),
    "disp/table12": (6, "0.65"),
    "disp/table13": (8, "2.267"),
    "disp/probe": (4, "286.5"),
    "disp/memorised": (2, "0"),
    "disp/corruption": (3, "0"),
    "dip/table1": (102, "3355.395"),
    "dip/table2": (24, "1644.97"),
    "dip/table3": (126, "627.809"),
    "dip/table4": (12, "591.0322"),
    "dip/table5": (4, "45.56"),
    "dip/table6": (18, "563.70"),
    "dip/table7": (6, "873.14"),
    "dip/table8": (24, "2611.85"),
    "dip/table9": (42, "779.76"),
    "dip/table10": (35, "108.30"),
    "dip/memorised": (2, "181.30"),
    "dip/fig2": (1, "15"),
    "lt/table1": (17, "271.48"),
    "lt/table2": (20, "1485.78"),
    "lt/table3": (20, "9.168"),
    "lt/table4": (9, "243.52"),
    "lt/table5": (8, "67.74"),
    "lt/pathlength": (4, "525.63"),
    "lt/cas": (5, "0"),
    "lt/aux": (2, "0"),
    "lt/variance": (1, "0"),  # how many are lost is not known
    "sle/table1": (30, "716.311"),
    "sle/table2": (30, "1365.32"),
    "sle/table3": (26, "2541.97"),
    "sle/table4": (30, "1153.15"),
    "sle/table5": (16, "37.384"),
    "sle/table6": (10, "490.90"),
    "sle/table7": (31, "55.053"),
    "sle/table8": (12, "5.7071"),
    "sle/fig8": (2, "120000"),
}
IN_TABLES = {"disp": 314, "dip": 393, "lt": 74, "sle": 185}  # numbers in a paper's tables
# The tables of dip that disp has too; dip/table5 is the first four rows of disp/table8.
ALIASES = {
    "dip/table2": "disp/table2",
    "dip/table4": "disp/table7",
    "dip/table5": "disp/table8",
    "dip/table6": "disp/table9",
    "dip/table7": "disp/table11",
    "dip/table8": "disp/table10",
    "dip/table9": "disp/table3",
}


@pytest.mark.parametrize("table", PRINTED)
def test_a_table_is_whole(table):
    marks = read_marks(table)
    beside = marks[marks["mark"].isin(["sd", "own-rerun"])]
    lost = marks[marks["mark"] == "lost"]
    texts = [*read_printed(table)["text"], *beside["text"]]
    count, total = PRINTED[table]
    assert len(texts) + len(lost) == count
    assert sum(map(Decimal, texts)) == Decimal(total)


@pytest.mark.parametrize("paper", IN_TABLES)
def test_every_table_of_a_paper_is_there(paper):
    counts = {name: count for name, (count, _) in PRINTED.items() if name.startswith(f"{paper}/")}
    assert {name for name in printed_tables() if name.startswith(f"{paper}/")} == set(counts)
    assert sum(count for name, count in counts.items() if "/table" in name) == IN_TABLES[paper]


def test_names_are_those_that_a_table_may_have():
    for frame in (read_printed(), read_marks()):
        assert all(re.fullmatch(r"[a-z0-9+.-]+", row) for row in frame["row"])
        assert all(re.fullmatch(r"[a-z0-9-]+", column) for column in frame["column"])
        assert all(re.fullmatch(r"[a-z0-9_.]+", metric) for metric in frame["metric"])


@pytest.mark.parametrize(("table", "other"), ALIASES.items())
def test_the_two_papers_print_the_same(table, other):
    ours, theirs = printed_texts(table), printed_texts(other)
    lost = read_marks(table).query("mark == 'lost'")
    suggested = {(line.row, line.column, line.metric): line.text for line in lost.itertuples()}
    assert {**ours, **suggested}.items() <= theirs.items()
    assert {key[0] for key in theirs} - {key[0] for key in {**ours, **suggested}} <= {"resnet50-imagenet"}


def test_rows_of_three_samplers_agree_with_the_table_of_one():
    one, three = printed_texts("disp/table4"), printed_texts("dip/table3")
    names = {"disp-vgg16": "vgg16-gmm", "disp-simclr": "simclr-gmm"}
    assert one == {key: three[names.get(key[0], key[0]), *key[1:]] for key in one}
    copying, samplers = printed_texts("disp/table6"), printed_texts("dip/table10")
    assert copying == {key: samplers[names.get(key[0], key[0]), *key[1:]] for key in copying}


def test_numbers_that_a_paper_prints_twice_agree():
    networks = {"celebahq": "celebahq-sndcgan", "cifar10": "c10-uncond"}
    first, again = printed_texts("lt/table1"), printed_texts("lt/table4")
    for row in ("base", "lt"):
        assert all(again[row, column, "fid"] == first[row, other, "fid"] for column, other in networks.items())
    sizes, tasks = printed_texts("sle/table4"), printed_texts("sle/table6")
    for column in ("art-10k", "nature-10k"):
        assert tasks["ae", column, "fid"] == sizes["ours", column, "fid"]
    encoders = printed_texts("sle/table7")  # an untrained discriminator is one and the same for four rows
    untrained = {key: text for key, text in encoders.items() if key[1].endswith("-0") and key[0] != "sg2"}
    assert len(untrained) == 8 and {(key[1], text) for key, text in untrained.items()} == {
        ("ffhq-0", "1.943"),
        ("art-0", "2.421"),
    }


def test_a_second_value_of_a_cell_is_a_mark():
    (rerun,) = read_marks("lt/table1").query("mark == 'own-rerun'").itertuples()
    assert (rerun.row, rerun.column, rerun.text) == ("cr", "celebahq-sndcgan", "18.44")
    assert printed_texts("lt/table1")["cr", "celebahq-sndcgan", "fid"] == "16.97"


def test_the_grid_says_what_is_lost_and_keeps_the_columns_in_order():
    head, *_, first = printed_text("dip/table9").splitlines()[1:5]
    assert head.split()[1:] == ["c10-100", "c10-20", "c10-10", "c100-100", "c100-20", "c100-10"]
    assert first.split() == ["biggan", "17.22", "lost", "42.59", "20.37", "33.25", "42.43"]
    listed = printed_text("dip/table9", with_marks=True)
    assert "biggan / c10-20 / fid: lost: 31.25: damaged" in listed
    assert printed_text("disp/corruption").splitlines()[-1].split() == ["simclr-cifar100", "lost", "-"]
