"""`bench report --claims`: all papers' claims on one page, in every form, with what the papers' own numbers say."""

import csv
import io

import pytest

from bench.cli.main import cli
from bench.errors import UserError
from bench.plan.load import load_table, table_names
from bench.plan.waiting import to_come


@pytest.fixture
def says(capsys, store_root):
    """`bench report --claims WORDS` in this process, on an empty store: what it printed."""

    def run(*words, form=None):
        cli.main(args=["report", "--claims", *words, *([form] if form else [])], standalone_mode=False)
        return capsys.readouterr().out

    return run


def flat(text):
    return " ".join(text.split())


def test_the_whole_page_at_smoke_judges_nothing(says):
    page = flat(says("--scale", "smoke"))
    assert "Claims of the papers (scale smoke)" in page
    assert "145 claims:" in page and "prints" not in page
    assert "The papers print the numbers of 112, which contradict 19 of these sentences." in page
    assert page.count("Smoke numbers rank nothing: no claim is judged.") == 1
    assert (
        "NOT JUDGED: Added to training from scratch, DISP-Vgg16 lowers FID (disp.t1.fid.scratch; 5.1 Results)" in page
    )
    assert "NOT JUDGED: To swap the input of the skip layer" in page and "waits for" not in page
    assert not {"SUPPORTED:", "CONTRADICTED:", "INCONCLUSIVE:"} & set(page.split())


def test_a_recorded_set_gives_numbers_and_verdicts(says):
    page = flat(says("table1", "--scale", "mini", "--recorded", "cpu"))
    assert "faces, scratch+disp < scratch, FD(effnet_lite0@96): ratio 0.774 [0.562, 1.07], p = 0.075, n = 3" in page
    assert "INCONCLUSIVE: Added to training from scratch, DISP-Vgg16 lowers FID" in page
    assert "anime, scratch+disp < scratch, FD(effnet_lite0@96): ratio 0.723, n = 1: too few seeds" in page
    assert "9/10 comparisons agree; against its sentence: FID, anime: memorised 81.23" in page
    assert "disp/table4" not in page and "17 claims: 17 inconclusive." in page


def test_the_whole_page_where_nothing_has_been_run(says):
    """Every table is read; those of measures to come are waited for, by the measure's name."""
    lines = list(csv.DictReader(io.StringIO(says("--scale", "mini", form="--csv"))))
    assert len(lines) == 145 and {line["verdict"] for line in lines} == {"inconclusive"}
    other = {line["claim"]: line["reason"] for line in lines if line["reason"] != "nothing has been run"}
    assert other.keys() == {"sle.fig9.layer"}, "small networks have one such layer"
    assert other["sle.fig9.layer"].startswith("not compared: art: no cell at scale mini of layer-256")
    waiting = {name: to_come(load_table(name)) for name in table_names()}
    for line in lines:
        if (measure := waiting.get(line["table"])) is not None:
            assert line["reason"] == f"waits for the measure {measure}"


def test_every_form_has_all_of_it(says, tmp_path):
    forms = {"--markdown": "- **not judged**: ", "--single": '<b class="not-judged">', "--latex": r"\item[not judged]"}
    for form, mark in forms.items():
        page = says("dip/table10", "dip/table3", "--scale", "smoke", form=form)
        assert mark in page and "23/24 comparisons agree" in page and "dip.t3.fid" in page.replace("{.}", ".")
    lines = list(csv.DictReader(io.StringIO(says("dip", "--scale", "smoke", form="--csv"))))
    assert len(lines) == 13
    (line,) = [line for line in lines if line["claim"] == "dip.t10.no-copying"]
    told = {"table": "dip/table10", "verdict": "not judged", "scale": "smoke", "n": "0", "place": "C, memorisation"}
    printed = {"printed_agree": "23", "printed_of": "24", "printed_against": "C_T, lsun: 0 against simclr-kmeans -0.12"}
    assert {key: line[key] for key in {**told, **printed}} == {**told, **printed}
    says("lt", "--scale", "smoke", "--output", str(tmp_path / "out"))
    names = {f"claims-smoke.{suffix}" for suffix in ("txt", "md", "html", "tex", "csv")}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names


def test_a_name_without_claims_and_what_is_of_tables_alone_are_refused(says):
    for words, message in (
        (["disp/tabel4"], "no claims of 'disp/tabel4'; did you mean 'disp/table4'?"),
        (["--rows", "scratch"], "--rows is of a table; a claim names its own rows, columns and scores"),
        (["--metric", "fd"], "--metric is of a table"),
    ):
        with pytest.raises(UserError) as caught:
            says(*words, "--scale", "smoke")
        assert str(caught.value).startswith(message)


def test_the_report_of_a_table_has_its_claims_with_what_is_printed(capsys, store_root):
    cli.main(
        args=["report", "table1", "--scale", "mini", "--recorded", "cpu", "--columns", "faces"], standalone_mode=False
    )
    page = flat(capsys.readouterr().out)
    assert "Claims: supported: each comparison has a p of at most .05" in page
    assert "DISP-Vgg16 lowers FID (disp.t1.fid.scratch; 5.1 Results)" in page
    assert "the paper's own numbers: 2/2 comparisons agree" in page
