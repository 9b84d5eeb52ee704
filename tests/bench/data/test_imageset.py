"""Built sets: whole or absent, the same each time, and damage noticed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data import building, imageset, verification
from bench.data.builder import Order, Splits
from bench.data.catalogue import DatasetEntry
from bench.data.draws import few_shot
from bench.data.known import datasets
from bench.errors import UserError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registries: None) -> Path:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _register(name: str, **fields: object) -> None:
    """Add a catalogue entry that this module's `two_greys` builds."""
    base = {
        "summary": "s",
        "builder": f"{__name__}:two_greys",
        "licence": "MIT",
        "source": "x",
        "train": 1,
        "test": 1,
    }
    datasets().add(name, f"catalogue:{name}", "s", DatasetEntry.model_validate(base | fields))


def two_greys(order: Order) -> Splits:
    shape = (order.entry.train, order.resolution, order.resolution, 3)
    value = order.entry.options.get("test_value", 9)
    return Splits(np.zeros(shape, np.uint8), np.full(shape, value, np.uint8), licence_text="MIT")


def test_load_builds_once_and_maps_read_only(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = imageset.load("shapes", 16)
    assert capsys.readouterr().err.count("building data set 'shapes' at 16 px") == 1
    again = imageset.load("shapes", 16)
    assert capsys.readouterr().err == ""
    assert again.sha256 == first.sha256
    assert isinstance(again.train, np.memmap)
    assert not again.train.flags.writeable
    assert again.train.shape == (256, 16, 16, 3)
    folder = cache / "data" / "shapes-16"
    names = {"train.npy", "test.npy", "train_labels.npy", "test_labels.npy", "meta.json", "LICENCE.txt"}
    assert {file.name for file in folder.iterdir()} == names | {"contact-sheet.png"}
    assert Image.open(folder / "contact-sheet.png").size == (8 * 18 + 2, 8 * 18 + 2)
    assert json.loads((folder / "meta.json").read_text())["packages"]["numpy"] == np.__version__
    assert [file.name for file in folder.parent.iterdir()] == ["shapes-16"]  # no temporary folder is left


def test_sum_ignores_how_files_store_it_and_follows_the_pixels(cache: Path) -> None:
    built = imageset.load("shapes", 16)
    path = cache / "data" / "shapes-16" / "train.npy"
    os.utime(path, (1, 1))
    assert imageset.load("shapes", 16).sha256 == built.sha256
    assert building.build("shapes", 16, force=True).sha256 == built.sha256
    assert imageset.load("shapes", 32).sha256 != built.sha256


def test_verify_says_whether_the_catalogue_knows_the_sum() -> None:
    for resolution, verdict in ((16, "ok"), (24, "unknown")):
        imageset.load("shapes", resolution)
        findings = verification.verify("shapes", resolution)
        assert [one.verdict for one in findings] == ["ok"] * 4 + [verdict]
    _register("known", known_sha256={16: "0" * 64})
    imageset.load("known", 16)
    assert verification.verify("known", 16)[-1].verdict == "differs"


def test_verify_names_the_file_with_one_flipped_bit(cache: Path) -> None:
    imageset.load("shapes", 16)
    path = cache / "data" / "shapes-16" / "test.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    imageset.load("shapes", 16)  # the cheap check does not read pixels
    with pytest.raises(UserError, match=r"test\.npy: its content is not what was built"):
        verification.verify("shapes", 16)


@pytest.mark.parametrize(
    ("file", "content"),
    [("train.npy", b"\x93NUMPY"), ("meta.json", b"{"), ("meta.json", b"[]"), ("meta.json", b'{"files": 3}')],
)
def test_load_refuses_a_damaged_folder_by_name(cache: Path, file: str, content: bytes) -> None:
    imageset.load("shapes", 16)
    (cache / "data" / "shapes-16" / file).write_bytes(content)
    with pytest.raises(UserError, match=rf"{file}: .*bench data build shapes --resolution 16 --force"):
        imageset.load("shapes", 16)
    assert file in verification.list_built()[0].problem
    building.build("shapes", 16, force=True)
    assert verification.verify("shapes", 16)[-1].verdict == "ok"


def test_pickles_are_not_loaded(cache: Path) -> None:
    count = len(imageset.load("shapes", 16).train)
    folder = cache / "data" / "shapes-16"
    np.save(folder / "train.npy", np.array([{"a": 1}] * count, dtype=object), allow_pickle=True)
    meta = json.loads((folder / "meta.json").read_text())
    meta["files"]["train.npy"].update(bytes=(folder / "train.npy").stat().st_size, shape=[count], dtype="|O")
    (folder / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(UserError, match=r"train\.npy"):
        imageset.load("shapes", 16)


def test_a_changed_recipe_is_built_again(capsys: pytest.CaptureFixture[str]) -> None:
    _register("greys")
    before = imageset.load("greys", 16)
    _register("greys", options={"test_value": 77})
    assert imageset.load("greys", 16).test.max() == 77
    assert before.test.max() == 9  # a map that was open keeps what it had
    assert capsys.readouterr().err.count("building") == 2


def test_contract_of_a_builder_is_checked(cache: Path) -> None:
    _register("same", options={"test_value": 0})
    with pytest.raises(UserError, match="1 images are both in train and in test"):
        imageset.load("same", 16)
    _register("short", test=5)
    with pytest.raises(UserError, match="test has 1 images, 5 are needed"):
        imageset.load("short", 16)
    _register("absent", builder="bench.datasets.nowhere:build")
    with pytest.raises(UserError, match=r"needs the module 'bench\.datasets\.nowhere'"):
        imageset.load("absent", 16)
    assert list((cache / "data").iterdir()) == []  # nothing half-built stays


def test_user_errors_say_what_would_be_right(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'shapes'"):
        imageset.load("shaeps", 16)
    with pytest.raises(UserError, match="bench data build ffhq --resolution 128 --from DIR"):
        imageset.load("ffhq", 128)
    with pytest.raises(UserError, match="leave out --from"):
        building.build("shapes", 16, source=tmp_path)
    with pytest.raises(UserError, match="must be 8 to 1024"):
        imageset.load("shapes", 4)
    with pytest.raises(UserError, match="is not built"):
        verification.verify("shapes", 16)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="cannot be written: Not a directory; BENCH_CACHE"):
        imageset.load("shapes", 16)


def test_list_built_counts(cache: Path) -> None:
    assert verification.list_built() == []
    (cache / "data" / "digits-²").mkdir(parents=True)  # a digit, but no number
    assert verification.list_built() == []
    imageset.load("shapes", 16)
    _register("a-b")
    imageset.load("a-b", 8)
    listed = [(one.name, one.resolution, one.train, one.test) for one in verification.list_built()]
    assert listed == [("a-b", 8, 1, 1), ("shapes", 16, 256, 256)]


def test_two_processes_building_at_once_both_succeed(cache: Path) -> None:
    # Both builders wait until both have begun, so that the loser meets a finished folder in its rename.
    plugin = cache.parent / "meeting.py"
    plugin.write_text(
        "import time\nfrom pathlib import Path\n"
        "from bench.data import imageset\n"
        "from bench.data.known import datasets\n"
        "from bench.data.catalogue import DatasetEntry\n"
        "from bench.datasets import shapes\n"
        "def build(order):\n"
        "    deadline = time.monotonic() + 300\n"
        "    while len(list(order.scratch.parent.glob('.meet-16.*'))) < 2 and time.monotonic() < deadline:\n"
        "        time.sleep(0.01)\n"
        "    assert time.monotonic() < deadline\n"
        "    time.sleep(0.1)\n"
        "    return shapes.build(order)\n"
        "entry = DatasetEntry(summary='s', builder='meeting:build', licence='MIT', source='x',\n"
        "                     train=256, test=256)\n"
        "if __name__ == '__main__':\n"
        "    datasets().add('meet', 'catalogue:meet', 's', entry)\n"
        "    print(imageset.load('meet', 16).sha256)\n"
    )
    root = Path(imageset.__file__).parents[2]
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(root), str(cache.parent)])}
    runs = [
        subprocess.Popen([sys.executable, str(plugin)], env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    sums = [run.communicate(timeout=600)[0].strip() for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert sums[0] == sums[1] == imageset.load("shapes", 16).sha256
    assert sorted(file.name for file in (cache / "data").iterdir()) == ["meet-16", "shapes-16"]


def test_leftovers_of_killed_builds_are_removed_when_old(cache: Path) -> None:
    old, young = cache / "data" / ".shapes-16.old", cache / "data" / ".shapes-16.young"
    for folder in (old, young):
        folder.mkdir(parents=True)
    os.utime(old, (time.time() - 2 * 24 * 3600,) * 2)
    imageset.load("shapes", 16)
    assert not old.exists()
    assert young.exists()


def test_importing_imageset_does_not_import_torch() -> None:
    code = "import sys, bench.data.imageset; sys.exit('torch' in sys.modules)"
    root = Path(imageset.__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


def test_few_shot_is_paired_nested_and_uniform() -> None:
    draw = few_shot(2000, 100, seed=3)
    assert draw.dtype == np.int64
    assert draw.tolist() == sorted(set(draw.tolist()))
    assert np.array_equal(draw, few_shot(2000, 100, seed=3))
    assert not np.array_equal(draw, few_shot(2000, 100, seed=4))
    assert set(few_shot(2000, 25, seed=3)) < set(draw)
    assert few_shot(7, 7, seed=0).tolist() == list(range(7))
    # Each of 50 images is drawn with p = 0.2 in 2,000 seeds: the count's sd is 17.9; allow six.
    counts = np.bincount(np.concatenate([few_shot(50, 10, seed) for seed in range(2000)]), minlength=50)
    assert np.abs(counts - 400).max() < 6 * 17.9


def test_few_shot_with_labels_is_balanced() -> None:
    labels = np.repeat(np.arange(10), 250)
    assert np.bincount(labels[few_shot(2500, 100, 0, labels)]).tolist() == [10] * 10
    uneven = np.bincount(labels[few_shot(2500, 25, 0, labels)])
    assert sorted(uneven) == [2] * 5 + [3] * 5
    assert not np.array_equal(uneven, np.bincount(labels[few_shot(2500, 25, 1, labels)]))
    rare = np.array([0] * 95 + [1] * 5)
    assert np.bincount(rare[few_shot(100, 40, 0, rare)]).tolist() == [35, 5]


@pytest.mark.parametrize("shots", [0, -1, 11])
def test_few_shot_refuses_what_cannot_be_drawn(shots: int) -> None:
    with pytest.raises(UserError, match=f"cannot draw {shots} shots from 10"):
        few_shot(10, shots, 0)
