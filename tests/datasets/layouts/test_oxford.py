"""Oxford's flowers: labels and split from MATLAB files, one class or all, and releases that are not whole."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from bench.errors import UserError

Arrange = Callable[..., Any]

LABELS = [77, 1, 77, 2, 1, 77, 3, 3]  # of image_00001.jpg and on


def _mat(compressed: bool = True, **variables: Any) -> bytes:
    file = io.BytesIO()
    savemat(
        file, {name: np.atleast_2d(np.asarray(value)) for name, value in variables.items()}, do_compression=compressed
    )
    return file.getvalue()


def _release(**more: bytes) -> dict[str, bytes | None]:
    pictures = {f"jpg/image_{number:05}.jpg": None for number in range(1, len(LABELS) + 1)}
    return {**pictures, "imagelabels.mat": _mat(labels=np.array(LABELS, np.uint8)), **more}


def _setid() -> bytes:
    return _mat(trnid=[1, 2], valid=[3, 4], tstid=[5, 6, 7, 8])


def test_the_passion_flowers_are_those_of_class_77(arrange: Arrange) -> None:
    found = arrange("oxford-passion-flower", _release(**{"README.txt": b"x"}), crop="center", reference="all")
    assert [item.name for item in found.items] == [f"jpg/image_0000{number}.jpg" for number in (1, 3, 6)]
    assert {item.label for item in found.items} == {None} and found.class_names == ()
    assert found.left_out == {"of other classes": 5, "side files": 2}


def test_a_folder_of_the_class_alone_is_the_class(arrange: Arrange) -> None:
    found = arrange("oxford-passion-flower", {"image_00001.jpg": None, "mine.png": None})
    assert [item.name for item in found.items] == ["image_00001.jpg", "mine.png"]


def test_more_pictures_than_a_class_has_are_refused_without_labels(arrange: Arrange) -> None:
    """The whole release without imagelabels.mat beside it would else be a set of 102 kinds."""
    files: dict[str, bytes | None] = {f"jpg/image_{number:05}.jpg": None for number in range(1, 259)}
    assert len(arrange("oxford-passion-flower", files).items) == 258
    with pytest.raises(UserError, match=r"has 259 of Oxford's pictures, more than any class \(258\), and imagelabels"):
        arrange("oxford-passion-flower", {**files, "jpg/image_08189.jpg": None})


@pytest.mark.parametrize("compressed", [True, False])
def test_all_classes_with_oxfords_split(arrange: Arrange, compressed: bool) -> None:
    files = _release(
        **{"setid.mat": _setid(), "imagelabels.mat": _mat(compressed, labels=np.array(LABELS, np.float64))}
    )
    found = arrange("oxford-102", files)
    assert found.class_names == ("001", "002", "003", "077")
    assert [item.label for item in found.items] == [f"{label:03}" for label in LABELS]
    assert [item.split for item in found.items] == ["train"] * 4 + ["test"] * 4
    assert [item.label for item in arrange("oxford-102", files, classes=[1, 3]).items] == ["001", "001", "003", "003"]


def test_a_release_that_is_not_whole_is_refused(arrange: Arrange) -> None:
    files = _release()
    del files["jpg/image_00003.jpg"]
    with pytest.raises(UserError, match="1 pictures of the wanted classes are missing, such as image_00003.jpg"):
        arrange("oxford-passion-flower", files)


def test_pictures_beyond_the_labels_are_refused(arrange: Arrange) -> None:
    with pytest.raises(UserError, match="imagelabels.mat: labels 8 pictures, but there is image_00009.jpg"):
        arrange("oxford-passion-flower", {**_release(), "jpg/image_00009.jpg": None})


def test_without_labels_the_classes_are_not_known(arrange: Arrange) -> None:
    with pytest.raises(UserError, match="imagelabels.mat is missing, so the classes are not known"):
        arrange("oxford-102", {"jpg/image_00001.jpg": None})


def test_the_seventeen_kinds_are_known_by_their_names(arrange: Arrange) -> None:
    files: dict[str, bytes | None] = {f"jpg/image_{number:04}.jpg": None for number in range(1, 6)}
    found = arrange("oxford-17", {**files, "jpg/files.txt": b"image_0001.jpg\n"})
    assert [item.name for item in found.items] == sorted(files) and found.left_out == {"side files": 1}
    assert arrange("oxford-17", {"jpg/image_00001.jpg": None, **files, "jpg/files.txt": b""}).left_out == {
        "side files": 2
    }


def test_a_gap_in_the_seventeen_kinds_is_refused(arrange: Arrange) -> None:
    with pytest.raises(UserError, match="2 pictures are missing, such as image_0002.jpg"):
        arrange("oxford-17", {"image_0001.jpg": None, "image_0004.jpg": None})
