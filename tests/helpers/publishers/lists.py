"""Releases that come with lists: Oxford's flowers, CUB, Places365, ImageNet-2012, CelebA-HQ."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from scipy.io import savemat

from publishers.drawn import encoded
from publishers.release import Release, write_files, write_tar

FLOWERS = [77 if number % 3 == 0 else number % 5 + 1 for number in range(60)]


def _mat(**variables: np.ndarray) -> bytes:
    file = io.BytesIO()
    savemat(file, variables, do_compression=True)
    return file.getvalue()


def _oxford_102(folder: Path) -> Path:
    """The archive, with the lists beside it."""
    labels = np.asarray([FLOWERS], np.uint8)
    splits = {"trnid": np.arange(1, 11), "valid": np.arange(11, 21), "tstid": np.arange(21, 61)}
    write_files(folder, {"imagelabels.mat": _mat(labels=labels), "setid.mat": _mat(**splits)})
    pictures: dict[str, bytes | str] = {
        f"jpg/image_{number + 1:05}.jpg": encoded(number, (30, 24)) for number in range(len(FLOWERS))
    }
    return write_tar(folder / "102flowers.tgz", pictures)


def _oxford_17(folder: Path) -> Path:
    pictures: dict[str, bytes | str] = {
        f"jpg/image_{number + 1:04}.jpg": encoded(number, (14, 12))
        for number in range(34)  # fewer pixels than are built
    }
    return write_tar(folder / "17flowers.tgz", {**pictures, "jpg/files.txt": "\n".join(pictures)})


BIRDS = ("001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Sooty_Albatross")


def _bird(number: int) -> str:
    return BIRDS[number % 3]


def _cub(folder: Path) -> Path:
    paths = {number: f"{_bird(number)}/{_bird(number)[4:]}_{number:04}_{796 + number}.jpg" for number in range(45)}
    numbered = {number + 1: number for number in sorted(paths, key=lambda one: paths[one])}
    files: dict[str, bytes | str] = {
        **{f"images/{path}": encoded(number) for number, path in paths.items()},
        "images.txt": "".join(f"{place} {paths[number]}\n" for place, number in numbered.items()),
        "classes.txt": "".join(f"{place} {name}\n" for place, name in enumerate(BIRDS, 1)),
        "image_class_labels.txt": "".join(f"{place} {number % 3 + 1}\n" for place, number in numbered.items()),
        "train_test_split.txt": "".join(f"{place} {int(number % 2 == 0)}\n" for place, number in numbered.items()),
        "bounding_boxes.txt": "1 60.0 27.0 325.0 304.0\n",
        "parts/parts.txt": "1 back\n",
        "README": "Caltech-UCSD Birds-200-2011\n",
    }
    content = {f"CUB_200_2011/{name}": file for name, file in files.items()}
    return write_tar(folder / "CUB_200_2011.tgz", {"attributes.txt": "1 has_bill_shape::curved\n", **content})


SCENES = ("a/alley", "a/arch", "a/art_gallery", "a/auditorium", "b/ballroom")
OTHERS = ("a/airfield", "b/bar")


def _places(folder: Path) -> Path:
    classes = SCENES + OTHERS
    pictures: dict[str, bytes | str] = {
        f"data_256/{classes[number % 7]}/{number // 7 + 1:08}.jpg": encoded(number, (32, 32)) for number in range(70)
    }
    listed = "".join(f"{name.removeprefix('data_256')} 7\n" for name in pictures)
    write_files(folder, {"places365_train_standard.txt": listed})
    return write_tar(folder / "train_256_places365standard.tar", pictures, "w")


SYNSETS = ("n01440764", "n01443537", "n02119789")


def _imagenet(folder: Path) -> Path:
    """The Kaggle release: validation pictures flat, with their classes in a list."""
    root = "ILSVRC/Data/CLS-LOC"
    train = {
        f"{root}/train/{SYNSETS[number % 3]}/{SYNSETS[number % 3]}_{number}.JPEG": encoded(number)
        for number in range(60)
    }
    small = {f"{root}/train/{SYNSETS[0]}/{SYNSETS[0]}_60.JPEG": encoded(60, (9, 11))}  # ImageNet has such
    val = {f"{root}/val/ILSVRC2012_val_{number:08}.JPEG": encoded(number) for number in range(61, 85)}
    boxes = "".join(f"ILSVRC2012_val_{number:08},{SYNSETS[number % 3]} 1 2 3 4 \n" for number in range(61, 85))
    lists: dict[str, bytes | str] = {
        "LOC_synset_mapping.txt": "".join(f"{synset} a fish, or not\n" for synset in SYNSETS),
        "LOC_val_solution.csv": f"ImageId,PredictionString\n{boxes}",
        f"ILSVRC/Annotations/CLS-LOC/train/{SYNSETS[0]}/{SYNSETS[0]}_0.xml": "<annotation/>",
        f"{root}/test/ILSVRC2012_test_00000001.JPEG": encoded(99),
    }
    return write_files(folder / "imagenet", {**train, **small, **val, **lists})


IDS = {"n01440764": 3, "n01443537": 1, "n02119789": 2}  # not in the order of the names
TRUTH = "".join(f"{IDS[SYNSETS[number % 3]]}\n" for number in range(61, 85))


def meta_mat(packed: bool = True) -> bytes:
    """The devkit's table of synsets: the classes, and a group of them."""
    rows = [(number, synset, f"{synset}, or not", 0, np.zeros(0), 0) for synset, number in IDS.items()]
    rows.append((1001, "n00001740", "entity", 3, np.asarray([1.0, 2, 3]), 9))
    names = ("ILSVRC2012_ID", "WNID", "words", "num_children", "children", "wordnet_height")
    table = np.empty((len(rows), 1), [(name, object) for name in names])
    for place, row in enumerate(rows):
        table[place, 0] = row
    file = io.BytesIO()
    savemat(file, {"other": np.arange(5), "synsets": table}, do_compression=packed)
    return file.getvalue()


def imagenet_archives(folder: Path, truth: str = TRUTH, meta: bytes | None = None) -> Path:
    """ImageNet's own: a tar of tars, a flat tar, the devkit. The pictures are those of the Kaggle release."""
    inner: dict[str, bytes | str] = {}
    for synset in SYNSETS:
        numbers = [number for number in range(61) if SYNSETS[number % 3] == synset]
        pictures: dict[str, bytes | str] = {
            f"{synset}_{number}.JPEG": encoded(number, (9, 11) if number == 60 else (24, 20)) for number in numbers
        }
        path = write_tar(folder / "making" / f"{synset}.tar", pictures, "w")
        inner[path.name] = path.read_bytes()
        path.unlink()
    (folder / "making").rmdir()
    root = folder / "imagenet"
    write_tar(root / "ILSVRC2012_img_train.tar", inner, "w")
    val: dict[str, bytes | str] = {
        f"ILSVRC2012_val_{place:08}.JPEG": encoded(number) for place, number in enumerate(range(61, 85), 1)
    }
    write_tar(root / "ILSVRC2012_img_val.tar", val, "w")
    devkit: dict[str, bytes | str] = {
        "readme.txt": "ImageNet\n", "data/meta.mat": meta or meta_mat(),
        "data/ILSVRC2012_validation_ground_truth.txt": truth, "evaluation/demo.val.pred.txt": "1 2 3 4 5\n",
    }  # fmt: skip
    devkit = {f"ILSVRC2012_devkit_t12/{name}": content for name, content in devkit.items()}
    write_tar(root / "ILSVRC2012_devkit_t12.tar.gz", devkit)
    return root


ATTRIBUTES = ("Eyeglasses", "Male", "Smiling", "Young")


def _has(number: int) -> tuple[int, ...]:
    return tuple(int(number >> place & 1) for place in range(4))


def _celeba_hq(folder: Path) -> Path:
    rows = "".join(f"{number}.jpg {' '.join(f'{2 * one - 1:2}' for one in _has(number))}\n" for number in range(40))
    files: dict[str, bytes | str] = {f"CelebA-HQ-img/{number}.jpg": encoded(number, (32, 32)) for number in range(40)}
    files |= {f"CelebAMask-HQ-mask-anno/0/{number:05}_skin.png": encoded(99, kind="PNG") for number in range(40)}
    return write_files(
        folder / "CelebAMask-HQ",
        {
            **files,
            "CelebAMask-HQ-mask-anno/0/00007.png": encoded(99, kind="PNG"),
            "CelebAMask-HQ-attribute-anno.txt": f"40\n{' '.join(ATTRIBUTES)}\n{rows}",
            "CelebA-HQ-to-CelebA-mapping.txt": "idx orig_idx orig_file\n0 119613 119614.jpg\n",
        },
    )


RELEASES = {
    "oxford-passion-flower": Release(_oxford_102, 20, 20, frozenset(range(0, 60, 3))),
    "flowers": Release(_oxford_17, 34, 34, frozenset(range(34))),
    "cub": Release(
        _cub, 23, 22, frozenset(range(45)), label_of={number: _bird(number) for number in range(45)},
        split_of={number: "test" if number % 2 else "train" for number in range(45)},
    ),
    "places2.5k": Release(
        _places, 20, 15, frozenset(number for number in range(70) if number % 7 < 5),
        options={"per_class": 4, "test_per_class": 3},
        label_of={number: SCENES[number % 7] for number in range(70) if number % 7 < 5},
    ),
    "imagenet-128": Release(
        _imagenet, 61, 24, frozenset(range(85)), label_of={number: SYNSETS[number % 3] for number in range(85)},
        split_of={number: "train" if number < 61 else "test" for number in range(85)},
    ),
    "celeba-hq": Release(
        _celeba_hq, 36, 4, frozenset(range(40)), attributes_of={number: _has(number) for number in range(40)},
        attribute_names=ATTRIBUTES,
    ),
}  # fmt: skip
