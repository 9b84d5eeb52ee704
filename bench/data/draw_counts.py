"""How many images a draw and a reference have, and which of them are impossible; arithmetic on counts alone."""

from __future__ import annotations

from bench.spec.run import DataSpec, Protocol, ReferenceSplit


def held_out(data: DataSpec, train: int) -> int:
    """How many of `train` images of the train split are kept out of training."""
    return round(data.holdout * train) if data.holdout is not None else 0


def drawn(data: DataSpec, train: int) -> int:
    """How many of them a run trains on."""
    pool = train - held_out(data, train)
    return data.shots or (round(data.share * pool) if data.share is not None else pool)


def impossible(data: DataSpec, train: int) -> tuple[str, str] | None:
    """(the key at fault, why) of a draw from `train` images that cannot be; None of one that can.

    Labels are not looked at: see bench.data.draws.label_problem.
    """
    name = f"data set '{data.name}' at {data.resolution} px has {train} training images"
    out = held_out(data, train)
    pool = train - out
    if data.holdout is not None and not 1 <= out < train:
        how = "none of them" if out == 0 else "all of them"
        return "holdout", f"a holdout of {data.holdout:g} is {how}: {name}"
    left = name + (f", of which a holdout of {data.holdout:g} leaves {pool}" if data.holdout is not None else "")
    if data.shots is not None and data.shots > pool:
        return "shots", f"{data.shots} shots, but {left}"
    if data.share is not None and drawn(data, train) == 0:
        return "share", f"a share of {data.share:g} is no image: {left}"
    if data.corrupt_labels is not None and wrong(data, drawn(data, train)) == 0:
        return "corrupt_labels", (
            f"corrupt_labels of {data.corrupt_labels:g} is no label: a run has {drawn(data, train)} training images"
        )
    return None


def wrong(data: DataSpec, images: int) -> int:
    """How many labels of `images` drawn ones are made wrong."""
    return round((data.corrupt_labels or 0) * images)


def available(split: ReferenceSplit, data: DataSpec, train: int, test: int) -> int:
    """How many images a reference can be of, in a set of so many. The draw must be possible."""
    pool = train - held_out(data, train)
    return {"test": test, "training-images": drawn(data, train), "train-pool": pool, "all": train + test}[split]


def too_few_for_reference(protocol: Protocol, data: DataSpec, train: int, test: int) -> str | None:
    """Why a set of so many images has no such reference; None if it has one. The draw must be possible."""
    name, there = f"data set '{data.name}' at {data.resolution} px", available(protocol.split, data, train, test)
    what = {
        "test": f"{name} has {there} test images",
        "training-images": f"a run on {name} has {there} training images",
        "train-pool": f"the train pool of {name} has {there} images",
        "all": f"{name} has {there} images in both splits",
    }[protocol.split]
    return f"{protocol.reference} reference images, but {what}" if protocol.reference > there else None
