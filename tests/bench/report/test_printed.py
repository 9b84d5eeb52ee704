"""The papers' printed numbers: complete, as printed, and read strictly."""

import io

import pandas as pd
import pytest

from bench.errors import UserError
from bench.plan.load import load_table
from bench.report.printed import marks_csv, printed_tables, printed_texts, read_marks, read_printed, recorded_csv
from bench.report.render.printed_text import printed_text

HEADER = "paper,table,row,column,metric,value\n"
MARKS_HEADER = "table,row,column,metric,mark,value,note\n"
# Typed from the papers' pages, independently of the CSV files: FID, precision, recall for each column in
# turn.
ANIME_FACES = {
    "scratch": "120.38 0.61 0.00 140.66 0.31 0.00",
    "scratch+disp": "66.85 0.71 0.03 68.49 0.74 0.15",
    "transfergan": "102.75 0.70 0.00 101.15 0.85 0.00",
    "transfergan+disp": "86.96 0.57 0.02 75.21 0.70 0.10",
    "freezed": "109.40 0.67 0.00 107.83 0.83 0.00",
    "freezed+disp": "93.36 0.56 0.03 77.09 0.68 0.14",
    "freezed+disp-simclr": "89.39 0.46 0.025 70.40 0.74 0.22",
    "ada": "78.28 0.87 0.0 159.3 0.69 0.0",
    "ada+disp": "60.8 0.90 0.003 79.5 0.85 0.004",
    "diffaugment": "85.16 0.95 0.00 109.25 0.84 0.00",
    "diffaugment+disp": "48.67 0.82 0.03 62.44 0.80 0.19",
    "diffaugment+disp-simclr": "52.41 0.77 0.04 64.53 0.78 0.22",
    "bsa": "92.0 - - 123.2 - -",
    "glann+disp": "67.07 0.87 0.01 60.11 0.95 0.08",
}
FLOWER = {
    "scratch": "124.02 0.30 0.09",
    "scratch+disp": "94.22 0.62 0.41",
    "transfergan": "113.35 0.71 0.09",
    "transfergan+disp": "110.24 0.55 0.11",
    "freezed": "91.80 0.69 0.14",
    "freezed+disp": "120.43 0.53 0.20",
    "freezed+disp-simclr": "120.13 0.63 0.33",
    "diffaugment": "83.45 0.75 0.23",
    "diffaugment+disp": "79.86 0.79 0.57",
    "diffaugment+disp-simclr": "87.92 0.75 0.54",
    "bsa": "129.8 - -",
    "glann+disp": "97.73 0.95 0.51",
}


def expected(rows, columns):
    keys = [(column, metric) for column in columns for metric in ("fid", "precision", "recall")]
    return {
        (row, *key): text
        for row, texts in rows.items()
        for key, text in zip(keys, texts.split(), strict=True)
        if text != "-"
    }


def test_disp_table1_is_whole_and_as_printed():
    found = printed_texts("disp/table1")
    assert found == expected(ANIME_FACES, ("anime", "faces"))
    assert len(found) == 80


def test_dip_table1_is_whole_and_as_printed():
    rows = {row: f"{ANIME_FACES[row]} {flower}" for row, flower in FLOWER.items()}
    found = printed_texts("dip/table1")
    assert found == expected(rows, ("anime", "faces", "flower"))
    assert len(found) == 102


@pytest.mark.parametrize("name", ["disp/table1", "dip/table1"])
def test_printed_rows_and_columns_are_those_of_the_table(name):
    spec, frame = load_table(name), read_printed(name)
    assert set(frame["row"]) == {row.id for row in spec.rows if not row.control}
    assert set(frame["column"]) == {column.id for column in spec.columns}


def test_read_printed_gives_numbers_and_digits():
    frame = read_printed()
    assert list(frame.columns) == ["paper", "table", "row", "column", "metric", "value", "text"]
    assert frame["value"].dtype == float
    line = frame[(frame["table"] == "disp/table1") & (frame["row"] == "ada+disp")].iloc[0]
    assert (line["value"], line["text"]) == (60.8, "60.8")
    assert read_printed("lt/none").empty


def test_recorded_csv_keeps_the_printed_digits():
    text = recorded_csv("disp/table1")
    assert text.startswith(HEADER)
    assert "disp,disp/table1,ada,anime,recall,0.0\n" in text
    assert "disp,disp/table1,scratch,anime,recall,0.00\n" in text
    assert len(pd.read_csv(io.StringIO(text))) == 80
    assert len(recorded_csv().splitlines()) == 1 + len(read_printed())


@pytest.mark.parametrize(
    ("text", "place", "word"),
    [
        ("", ":1:", "header"),
        ("paper,table,row,column,value,metric\n", ":1:", "header"),
        (HEADER + "p,p/t,r,c,fid\n", ":2:", "6 values"),
        (HEADER + "p,p/t,r,c,fid,\n", ":2:", "none empty"),
        (HEADER + "p,p/t,r,c,fid,-\n", ":2:", "not a number"),
        (HEADER + "p,p/t,r,c,fid,nan\n", ":2:", "not a number"),
        (HEADER + "p,q/t,r,c,fid,1\n", ":2:", "must start"),
        (HEADER + "p,p/u,r,c,fid,1\n", ":2:", "file's name"),
        (HEADER + "p,p/t,r,c,fid,1\np,p/t,r,c,fid,2\n", ":3:", "twice"),
    ],
)
def test_a_malformed_file_is_refused(tmp_path, text, place, word):
    (tmp_path / "p-t.csv").write_text(text)
    with pytest.raises(UserError, match=word) as caught:
        read_printed(folder=tmp_path)
    assert f"p-t.csv{place}" in str(caught.value)


# Two rows of two columns; the second value of the first row is lost.
NUMBERS = HEADER + "p,p/t,a,x,fid,1.50\np,p/t,b,x,fid,2.0\np,p/t,b,y,fid,3\n"
MARKS = MARKS_HEADER + (
    "p/t,a,x,fid,sd,0.10,\n"
    "p/t,b,x,fid,copied,,from another paper\n"
    'p/t,b,x,fid,own-rerun,2.50,"in brackets, as printed"\n'
    "p/t,a,y,fid,lost,,cut off\n"
)


@pytest.fixture
def marked(tmp_path):
    (tmp_path / "p-t.csv").write_text(NUMBERS)
    (tmp_path / "p-t.marks.csv").write_text(MARKS)
    return tmp_path


def test_marks_stand_beside_the_numbers_and_are_none_of_them(marked):
    assert printed_texts("p/t", marked) == {("a", "x", "fid"): "1.50", ("b", "x", "fid"): "2.0", ("b", "y", "fid"): "3"}
    marks = read_marks("p/t", marked)
    assert list(marks["mark"]) == ["sd", "copied", "own-rerun", "lost"]
    assert list(marks["value"].fillna(-1)) == [0.1, -1, 2.5, -1]
    assert list(marks["text"]) == ["0.10", "", "2.50", ""]
    assert marks["note"][2] == "in brackets, as printed"
    assert read_marks(folder=marked).equals(marks)
    assert read_marks("p/other", marked).empty
    assert recorded_csv(folder=marked) == NUMBERS and marks_csv(folder=marked) == MARKS


def test_a_table_whose_numbers_are_all_lost_has_marks_alone(marked):
    (marked / "p-prose.marks.csv").write_text(MARKS_HEADER + "p/prose,a,x,fid,lost,7.5,another text has it\n")
    assert printed_tables(marked) == ["p/prose", "p/t"]
    assert read_printed("p/prose", marked).empty
    assert read_marks("p/prose", marked)["value"][0] == 7.5


@pytest.mark.parametrize(
    ("text", "place", "word"),
    [
        ("", ":1:", "header"),
        (HEADER, ":1:", "header"),
        (MARKS_HEADER + "p/t,a,x,fid,note,words\n", ":2:", "7 values"),
        (MARKS_HEADER + "p/t,a,x,fid,nota,,words\n", ":2:", "did you mean 'note'"),
        (MARKS_HEADER + "p/u,a,x,fid,note,,words\n", ":2:", "file's name"),
        (MARKS_HEADER + "p/t,a,,fid,lost,,words\n", ":2:", "must not be empty"),
        (MARKS_HEADER + "p/t,a,y,fid,note,,words\n", ":2:", "is not printed"),
        (MARKS_HEADER + "p/t,a,x,fid,lost,,words\n", ":2:", "not lost"),
        (MARKS_HEADER + "p/t,a,y,fid,lost,,\n", ":2:", "needs a note"),
        (MARKS_HEADER + "p/t,a,x,fid,sd,,words\n", ":2:", "needs its value"),
        (MARKS_HEADER + "p/t,a,x,fid,own-rerun,,words\n", ":2:", "needs its value"),
        (MARKS_HEADER + "p/t,a,x,fid,sd,~1,\n", ":2:", "not a number"),
        (MARKS_HEADER + "p/t,a,x,fid,copied,1,words\n", ":2:", "has no value"),
        (MARKS_HEADER + "p/t,a,x,fid,note,,words\np/t,a,x,fid,note,,more\n", ":3:", "twice"),
    ],
)
def test_a_malformed_mark_is_refused(marked, text, place, word):
    (marked / "p-t.marks.csv").write_text(text)
    with pytest.raises(UserError, match=word) as caught:
        read_marks(folder=marked)
    assert f"p-t.marks.csv{place}" in str(caught.value)


def test_the_marks_that_ship_are_read():
    marks = read_marks()
    assert set(marks["table"]) <= set(printed_tables())
    assert len(marks_csv().splitlines()) == 1 + len(marks)


def test_bench_recorded_prints_numbers_and_marks(bench_command):
    assert bench_command("recorded", "dip/table1", "--csv").stdout == recorded_csv("dip/table1")
    assert bench_command("recorded", "--csv", "--marks").stdout == marks_csv()
    assert bench_command("recorded", "table1").stdout == printed_text("disp/table1") + "\n"
    refused = bench_command("recorded", "disp/tabel1", "--csv", "--marks")
    assert refused.returncode == 2 and "did you mean 'disp/table1'?" in refused.stderr
