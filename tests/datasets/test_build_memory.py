"""What a build keeps of each picture: some hundred bytes, whatever the container, so that millions fit into memory."""

from __future__ import annotations

import gc
import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data import building, duplicates

FEW, MANY = 300, 1600
MOST = 500  # bytes of a picture; objects for its name, header, marks and places took 1,400


def _pixels(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _npy(root: Path, count: int) -> Path:
    np.save(root / f"{count}.npy", _pixels(count))
    return root / f"{count}.npy"


def _folder(root: Path, count: int) -> Path:
    for number, pixels in enumerate(_pixels(count)):
        place = root / f"of-{count}" / f"class-{number % 7}" / f"{number:020}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(_png(pixels))
    return root / f"of-{count}"


def _zip(root: Path, count: int) -> Path:
    with zipfile.ZipFile(root / f"{count}.zip", "w") as archive:
        for number, pixels in enumerate(_pixels(count)):
            archive.writestr(f"class-{number % 7}/{number:020}.png", _png(pixels))
    return root / f"{count}.zip"


def _peak(path: Path, count: int) -> int:
    gc.collect()
    tracemalloc.start()
    built = building.build("mine", 8, path, force=True, jobs=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(built.train) + len(built.test) == count
    return peak


@pytest.mark.parametrize("make", [_npy, _folder, _zip])
def test_a_picture_costs_some_hundred_bytes(
    make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registries: None
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(duplicates, "KEPT", 256)  # 25 MB otherwise, more than the few pictures here fill
    monkeypatch.setattr(duplicates, "PAIRS_AT_ONCE", 128)
    few, many = make(tmp_path, FEW), make(tmp_path, MANY)
    building.build("warm", 8, few)  # what is imported and remembered once
    assert (_peak(many, MANY) - _peak(few, FEW)) / (MANY - FEW) < MOST
