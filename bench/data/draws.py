"""Which training images of a data set a run trains on, with which labels and attributes, and which are held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench import seeds
from bench.data import draw_counts, imageset
from bench.data.built_set import ImageSet
from bench.data.wrong_labels import corrupted
from bench.errors import UserError
from bench.files.row_view import chosen_rows
from bench.seeds import numpy_stream
from bench.spec.run import DataSpec


@dataclass(frozen=True, eq=False)
class TrainingImages:
    """What a run trains on. The whole train split stays a memory map, as does a part too large for memory."""

    images: np.ndarray  # (M, H, W, 3) uint8
    index: np.ndarray  # (M,) int64, their positions in the train split, ascending
    labels: np.ndarray | None  # (M,) int64, indices into the set's class names
    corrupted: np.ndarray | None = None  # (M,) bool: which labels are wrong on purpose; None: none are
    attributes: np.ndarray | None = None  # (M, A) uint8, a column for each of attribute_names
    attribute_names: tuple[str, ...] = ()


def training_images(data: DataSpec, seed: int) -> TrainingImages:
    """The run's training images: its draw, or the whole train pool.

    The draw depends on the data set's name and the seed alone, so run i of every method trains on the same images,
    at every resolution. Raises UserError for a draw that is impossible.
    """
    images = imageset.load(data.name, data.resolution)
    index = draw(images, data, seed)
    whole = len(index) == len(images.train)
    if data.labels == "none":
        return TrainingImages(images.train if whole else chosen_rows(images.train, index), index, None)
    labels, attributes, is_wrong = images.train_labels, images.train_attributes, None
    if data.corrupt_labels is not None:
        count, stream = draw_counts.wrong(data, len(index)), numpy_stream(_seed(data, seed), "wrong labels")
        assert labels is not None, "`draw` has refused it"
        labels, is_wrong = corrupted(labels, index, count, len(images.class_names), stream)
    elif labels is not None and not whole:
        labels = labels[index]
    return TrainingImages(
        images=images.train if whole else chosen_rows(images.train, index),
        index=index,
        labels=labels,
        corrupted=is_wrong,
        attributes=attributes if attributes is None or whole else attributes[index],
        attribute_names=images.attribute_names,
    )


def draw(images: ImageSet, data: DataSpec, seed: int) -> np.ndarray:
    """The positions in the train split of a run's training images, ascending, int64.

    Draws of one seed are nested: 25 shots are among the 50, and a share among a larger one; so are balanced and fixed
    ones. Raises UserError for a draw that is impossible.
    """
    problem = draw_counts.impossible(data, len(images.train)) or label_problem(images, data, seed)
    if problem is not None:
        raise UserError(": ".join(problem))
    return _draw(images, data, seed)


def _draw(images: ImageSet, data: DataSpec, seed: int) -> np.ndarray:
    pool = train_pool(data, seed, len(images.train))
    if data.shots is None and data.share is None:
        return pool
    labels = images.train_labels[pool] if data.balanced and images.train_labels is not None else None
    return pool[few_shot(len(pool), draw_counts.drawn(data, len(images.train)), _seed(data, seed), labels)]


def train_pool(data: DataSpec, seed: int, train: int) -> np.ndarray:
    """The positions of the train pool: of `train` images of the train split, those that are not held out, ascending."""
    kept = np.ones(train, bool)
    kept[held_out(data, seed, train)] = False
    return np.flatnonzero(kept)


def held_out(data: DataSpec, seed: int, train: int) -> np.ndarray:
    """The positions in the train split of the images that `holdout` keeps out of training, ascending, int64.

    They do not depend on how many images are drawn of the others, and those of a smaller holdout are among them.
    """
    if data.holdout is None:
        return np.empty(0, np.int64)
    order = numpy_stream(_seed(data, seed), "holdout", train).permutation(train)
    return np.sort(order[: draw_counts.held_out(data, train)]).astype(np.int64)


def held_out_images(data: DataSpec, seed: int) -> np.ndarray:
    """The uint8 images (K, H, W, 3) that `holdout` keeps out of training, K = 0 without one."""
    images = imageset.load(data.name, data.resolution).train
    return chosen_rows(images, held_out(data, seed, len(images)))


def few_shot(n_train: int, shots: int, seed: int, labels: np.ndarray | None = None) -> np.ndarray:
    """The indices of a few-shot draw, sorted, int64; with `labels` (n_train,) balanced over the classes.

    A function of its arguments alone, so that seed i trains every method on the same images; the draws of one
    seed are nested (25 shots are among the 50). Of a class too small for its share all
    images are drawn, and the other classes fill in. Raises UserError unless 1 <= shots <= n_train.
    """
    if not 1 <= shots <= n_train:
        raise UserError(f"cannot draw {shots} shots from {n_train} training images; choose 1 to {n_train}")
    stream = numpy_stream(seed, "few-shot", n_train)
    order = stream.permutation(n_train)
    if labels is not None:
        classes, class_of, counts = np.unique(labels[order], return_inverse=True, return_counts=True)
        # The first image of every class, then the second of every class, and so on.
        rank = np.empty(n_train, np.int64)  # how many of its own class come before an image
        rank[np.argsort(class_of, kind="stable")] = np.arange(n_train) - np.repeat(np.cumsum(counts) - counts, counts)
        order = order[np.lexsort((stream.permutation(len(classes))[class_of], rank))]
    return np.sort(order[:shots]).astype(np.int64)


def label_problem(images: ImageSet, data: DataSpec, seed: int) -> tuple[str, str] | None:
    """(the key at fault, why) of a draw that the set's labels do not allow, where its counts do; else None."""
    key = "balanced" if data.balanced else "corrupt_labels" if data.corrupt_labels is not None else None
    name = f"data set '{data.name}' at {data.resolution} px"
    if key is None:
        return None
    if images.train_labels is None:
        return key, f"{name} has no class labels"
    if data.corrupt_labels is not None and len(images.class_names) < 2:
        return "corrupt_labels", f"{name} has one class: no label of it can be wrong"
    if not data.balanced:
        return None
    # How many images of each class of the pool were drawn: equally many, or one more.
    pool = np.unique(images.train_labels[train_pool(data, seed, len(images.train))], return_counts=True)
    mine = images.train_labels[_draw(images, data, seed)]
    counts = np.array([(mine == label).sum() for label in pool[0]])
    if counts.min() == 0:
        return key, f"{len(mine)} images cannot be balanced over the {len(counts)} classes of {name}"
    if counts.max() - counts.min() > 1:
        least = int(counts.argmin())
        return key, (
            f"{len(mine)} images cannot be balanced: class '{images.class_names[pool[0][least]]}' has only "
            f"{pool[1][least]} images in the train pool of {name}"
        )
    return None


def _seed(data: DataSpec, seed: int) -> int:
    return seeds.derive(0 if data.draw == "fixed" else seed, "data", data.name)
