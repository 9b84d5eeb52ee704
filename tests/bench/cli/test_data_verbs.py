"""`bench data build --download`, `verify --all`, `stats` and `show`, as a user types them."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from file_server import Site, answer, serve

PLUGIN = """
from bench.data.catalogue import DatasetEntry, PublishedFile

DATASETS = {{
    "roses": DatasetEntry(
        summary="ten pictures of a server's",
        builder="bench.datasets.pictures:build",
        licence="CC0 1.0",
        source="a server",
        homepage="https://roses.example",
        embedded=False,
        train=6,
        test=4,
        options={{"crop": "center"}},
        files=(
            PublishedFile(name="roses.zip", holds="10 PNG", url="{url}", bytes={bytes}, sha256="{sha256}"),
        ),
    )
}}
"""


def archive():
    """A zip of ten pictures, always the same."""
    content, stream = io.BytesIO(), np.random.default_rng(0)
    with zipfile.ZipFile(content, "w") as file:
        for number in range(10):
            picture = io.BytesIO()
            Image.fromarray(stream.integers(0, 256, (16, 16, 3), np.uint8)).save(picture, "PNG")
            file.writestr(zipfile.ZipInfo(f"{number}.png"), picture.getvalue())
    return content.getvalue()


@pytest.fixture
def bench(bench_command, tmp_path):
    """Run a command with a cache of this test's own, in its folder."""

    def bench(*arguments, status=0):
        done = bench_command(*arguments, cwd=tmp_path, BENCH_CACHE=str(tmp_path / "cache"), no_proxy="*")
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        return done

    return bench


@pytest.fixture
def site(tmp_path):
    """A server that has the archive of the set `roses`, and the plug-in that names it."""
    site = Site()
    site.content = archive()
    sha256 = hashlib.sha256(site.content).hexdigest()
    (tmp_path / "roses.py").write_text(PLUGIN.format(url=site.url, bytes=len(site.content), sha256=sha256))
    yield site
    site.close()


@pytest.fixture
def mine(bench, tmp_path):
    """A built set of the user's own."""
    (tmp_path / "pictures").mkdir()
    for number in range(8):
        pixels = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
        large = pixels.repeat(8, axis=0).repeat(8, axis=1)
        Image.fromarray(large).save(tmp_path / "pictures" / f"{number}.png")
    (tmp_path / "pictures" / ".DS_Store").write_text("x")
    bench("data", "build", "mine", "--from", "pictures", "--resolution", "16")
    return tmp_path / "cache" / "data" / "mine-16"


def test_a_set_is_fetched_once_for_all_its_resolutions(bench, site, tmp_path):
    build = ("data", "build", "roses", "--download", "--plugin", "roses.py", "--resolution")
    done = bench(*build, "16")
    assert "fetching roses.zip" in done.stderr and "licence: CC0 1.0" in done.stderr
    assert done.stdout.startswith("roses at 16 px: 6 train + 4 test images")
    assert (tmp_path / "cache" / "downloads" / "roses" / "roses.zip").read_bytes() == site.content
    assert "roses.zip: is there, with the right sha256" in bench(*build, "8").stderr
    assert len(site.requests) == 1
    assert "roses at 8 px" in bench("data", "stats", "roses", "--resolution", "8", "--plugin", "roses.py").stdout

    # Built already: nothing is asked of the server again.
    assert "is built already; add --force" in bench(*build, "16", status=2).stderr
    assert bench(*build, "16", "--force").stdout.startswith("roses at 16 px")
    assert len(site.requests) == 1


def test_what_cannot_be_fetched_is_one_line_and_no_set(bench, site, tmp_path):
    build = ("data", "build", "roses", "--download", "--plugin", "roses.py", "--resolution", "16")
    site.usual = answer(404)
    done = bench(*build, status=2)
    assert done.stderr.splitlines()[-1].startswith(f"bench: error: {site.url}: answers 404")
    site.usual, site.content = serve, site.content[::-1]
    assert "is not the expected file: its sha256 is" in bench(*build, status=2).stderr
    assert not (tmp_path / "cache" / "data").exists() and not (tmp_path / "cache" / "downloads" / "roses").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["shapes"], "is made from installed packages; leave out --download"),
        (["obama"], "has no files that can be fetched and checked; get it by hand (https://"),
        (["rosse"], "unknown data set 'rosse'; did you mean 'roses'?"),
        (["roses", "--from", "."], "--download is of published sets; leave out --from"),
        (["roses", "--shots", "5"], "--download is of published sets"),
        (["roses", "--resolution", "16", "--test-share", "0.5"], "--download is of published sets"),
    ],
    ids=str,
)
def test_downloads_that_make_no_sense(bench, site, arguments, said):
    assert said in bench("data", "build", *arguments, "--download", "--plugin", "roses.py", status=2).stderr
    assert site.requests == []


def test_verify_all_names_every_file_and_hides_nothing(bench, mine):
    assert bench("data", "build", "shapes", "--resolution", "8").returncode == 0
    whole = bench("data", "verify", "--all").stdout.splitlines()
    assert [line.split(": ")[:3] for line in whole] == [
        ["ok", "mine-16", "test.npy"],
        ["ok", "mine-16", "train.npy"],
        ["unknown", "mine-16", "whole set"],
        ["ok", "shapes-8", "test.npy"],
        ["ok", "shapes-8", "test_labels.npy"],
        ["ok", "shapes-8", "train.npy"],
        ["ok", "shapes-8", "train_labels.npy"],
        ["unknown", "shapes-8", "whole set"],
    ]
    damaged = bytearray((mine / "train.npy").read_bytes())
    damaged[-1] ^= 1
    (mine / "train.npy").write_bytes(damaged)
    done = bench("data", "verify", "--all", status=2)
    assert f"damaged: mine-16: {mine / 'train.npy'}: its content is not what was built" in done.stdout
    assert done.stdout.count("ok: shapes-8") == 4 and done.stderr.endswith("1 of 2 built data sets is damaged\n")


def test_verify_of_one_and_of_none(bench, mine):
    assert bench("data", "verify", "mine", "--resolution", "16").stdout.startswith("ok: test.npy: ")
    assert "leave out NAME and --resolution" in bench("data", "verify", "mine", "--all", status=2).stderr
    assert "leave out NAME" in bench("data", "verify", "--all", "--resolution", "16", status=2).stderr
    assert "name a data set, or give --all" in bench("data", "verify", status=2).stderr
    done = bench("data", "verify", "mine", status=2)
    assert "is not built; run `bench data build mine --resolution 32 --from" in done.stderr
    assert "(it is built at 16 px)" in done.stderr


def test_verify_all_without_any(bench):
    assert bench("data", "verify", "--all").stdout == "no data set is built here\n"


def test_stats_for_people_and_for_scripts(bench, mine):
    text = bench("data", "stats", "mine", "--resolution", "16").stdout
    assert text.startswith("mine at 16 px: 6 train + 2 test images\n") and "1 hidden" in text
    document = json.loads(bench("data", "stats", "mine", "--resolution", "16", "--json").stdout)
    assert document["images"] == {"train": 6, "test": 2} and document["copies"] == []
    assert set(document) == {
        "schema_version", "name", "resolution", "sha256", "licence", "images", "classes", "attributes", "colours",
        "grey", "constant", "one_split", "copies", "files", "notes",
    }  # fmt: skip


@pytest.mark.parametrize("verb", ["stats", "show", "verify"])
def test_unknown_and_damaged_sets(bench, mine, verb):
    assert "did you mean 'mine'?" in bench("data", verb, "mime", status=2).stderr
    meta = (mine / "meta.json").read_text()
    (mine / "meta.json").write_text("{")
    done = bench("data", verb, "mine", "--resolution", "16", status=2)
    assert done.stderr.startswith(f"bench: error: {mine / 'meta.json'}: missing or damaged; build it again with `bench")

    # A set that a plug-in defines, without the plug-in.
    record = json.loads(meta)
    del record["own"]
    (mine / "meta.json").write_text(json.dumps(record))
    done = bench("data", verb, "mine", "--resolution", "16", status=2)
    assert "data set 'mine' is built here, but defined by no file that is loaded; add its --plugin" in done.stderr
    assert "unknown: mine-16: whole set" in bench("data", "verify", "--all").stdout


def test_show_writes_a_sheet_and_names_it(bench, mine, tmp_path):
    done = bench("data", "show", "mine", "--resolution", "16")
    assert done.stdout == "mine-16-train.png: 6 of 6 train images of mine at 16 px\n"
    assert Image.open(tmp_path / "mine-16-train.png").size == (3 * 66 + 2, 2 * 66 + 2)
    done = bench("data", "show", "mine", "--resolution", "16", "--shots", "3", "--seed", "1", "--output", "draw.png")
    assert done.stdout == "draw.png: the draw of 3 training images by seed 1 of mine at 16 px\n"
    assert "say with --shots" in bench("data", "show", "mine", "--seed", "1", status=2).stderr
    assert "leave out --split" in bench("data", "show", "mine", "--shots", "3", "--count", "2", status=2).stderr


def test_show_opens_the_sheet(bench_command, mine, tmp_path, wait_until):
    """With the viewer that the PATH has, here one that notes what it was given; without one the sheet is there too."""
    viewer = tmp_path / "bin" / "xdg-open"
    viewer.parent.mkdir()
    viewer.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    viewer.chmod(0o755)
    show = ("data", "show", "mine", "--resolution", "16", "--open")
    env = {"BENCH_CACHE": str(tmp_path / "cache")}
    done = bench_command(*show, cwd=tmp_path, PATH=f"{viewer.parent}:/usr/bin:/bin", **env)
    assert done.returncode == 0 and "no viewer" not in done.stderr
    opened = tmp_path / "opened"
    assert wait_until(lambda: opened.exists() and opened.read_text()) == f"{tmp_path / 'mine-16-train.png'}\n"
    done = bench_command(*show, cwd=tmp_path, PATH=str(tmp_path / "nowhere"), **env)
    assert done.returncode == 0 and "no viewer was found" in done.stderr and "6 of 6" in done.stdout
