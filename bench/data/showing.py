"""Some images of a built data set on one sheet, chosen by split, class or few-shot draw."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from bench.data.built_set import ImageSet
from bench.data.contact_sheet import GAP, contact_sheet
from bench.data.draws import training_images
from bench.data.summary import open_built
from bench.errors import UserError, did_you_mean
from bench.files import atomic
from bench.files.memory_map import rows
from bench.spec.run import DataSpec

COUNT = 64  # images where no number is asked for
LEAST = 64  # pixels that an image has on the sheet at least
MOST_PIXELS = 100_000_000  # of a sheet
MARK = ("Software", "bench data show")  # by which a sheet is known, and may be replaced


@dataclass(frozen=True)
class Choice:
    """Which images: `count` of a split, spread evenly over it, of one class; or the draw of `shots` by a seed."""

    split: str = "train"
    count: int | None = None
    class_name: str | None = None
    shots: int | None = None
    seed: int = 0


def show(name: str, resolution: int, choice: Choice, output: Path | None) -> tuple[Path, str]:
    """Write the sheet; its path and what is on it.

    output: a PNG; by default NAME-RESOLUTION-SPLIT.png in the working folder. Raises UserError for a set that is not
    built, a choice that the set does not have, a sheet that would be too large, and a file that cannot be written or
    is something else.
    """
    images = open_built(name, resolution)
    path = output or Path(f"{name}-{resolution}-{choice.split}.png")
    try:
        _refuse_place(path)
        chosen_NHWC, text = _chosen(images, choice)
        columns = int(np.ceil(np.sqrt(len(chosen_NHWC))))
        _write(path, contact_sheet(chosen_NHWC, columns, max(1, LEAST // resolution)))
    except OSError as error:
        raise UserError(f"--output {path}: cannot be written: {error.strerror or error}") from error
    return path, f"{text} of {name} at {resolution} px"


def _chosen(images: ImageSet, choice: Choice) -> tuple[np.ndarray, str]:
    """The images (N, R, R, 3), and what they are in words."""
    if choice.shots is not None:
        _refuse_large(choice.shots, images.resolution, "--shots")
        data = DataSpec(name=images.name, resolution=images.resolution, shots=choice.shots)
        drawn = training_images(data, choice.seed).images
        return drawn, f"the draw of {len(drawn):,} training images by seed {choice.seed}"

    # Spread evenly over the split, or over the images of a class in it.
    array = getattr(images, choice.split)
    among = np.arange(len(array))
    of_class = ""
    if choice.class_name is not None:
        among, of_class = _of_class(images, choice.split, choice.class_name), f" {choice.class_name}"
    count = min(choice.count or COUNT, len(among))
    _refuse_large(count, images.resolution, "--count")
    index = np.unique(np.linspace(0, len(among) - 1, count).round().astype(int))
    return rows(array, among[index]), f"{len(index):,} of {len(among):,}{of_class} {choice.split} images"


def _of_class(images: ImageSet, split: str, class_name: str) -> np.ndarray:
    labels = getattr(images, f"{split}_labels")
    if labels is None:
        raise UserError(f"--class {class_name}: data set '{images.name}' has no classes in {split}")
    if class_name not in images.class_names:
        raise UserError(f"--class: unknown class '{class_name}'; {did_you_mean(class_name, images.class_names)}")
    among = np.flatnonzero(labels == images.class_names.index(class_name))
    if not len(among):
        raise UserError(f"--class {class_name}: data set '{images.name}' has no images of it in {split}")
    return among


def _refuse_large(count: int, resolution: int, option: str) -> None:
    side = resolution * max(1, LEAST // resolution) + GAP
    most = MOST_PIXELS // side**2
    if count > most:
        raise UserError(f"{option} {count:,}: a sheet holds at most {most:,} images of {resolution} px")


def _refuse_place(path: Path) -> None:
    """UserError for a path that cannot become a sheet; only an earlier sheet is replaced."""
    if path.suffix.lower() != ".png":
        raise UserError(f"--output {path}: the sheet is a PNG; end its name in .png")
    if path.exists() and not (path.is_file() and _is_sheet(path)):
        raise UserError(f"--output {path}: exists and is no sheet of `bench data show`; name another file")
    if not path.parent.is_dir():
        raise UserError(f"--output {path}: there is no folder {path.parent}")


def _write(path: Path, sheet: Image.Image) -> None:
    info = PngInfo()
    info.add_text(*MARK)
    content = BytesIO()
    sheet.save(content, "PNG", pnginfo=info)
    atomic.write_bytes(path, content.getvalue())


def _is_sheet(path: Path) -> bool:
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            return picture.info.get(MARK[0]) == MARK[1]
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
