"""A run's data and reference in words, as captions, plans and pages have them."""

from __future__ import annotations

from bench.spec.run import DataSpec, ReferenceSplit

# What the reference images of a protocol are, behind "100 reference images"
REFERENCES: dict[ReferenceSplit, str] = {
    "test": " of the test split",
    "training-images": ", the run's own training images",
    "train-pool": " of the train pool",
    "all": " of both splits",
}
# The same in short, behind the name of a score; the test split goes without saying
AGAINST: dict[ReferenceSplit, str] = {
    "test": "",
    "training-images": "against the training images",
    "train-pool": "against the train pool",
    "all": "against all images",
}


def data_words(data: DataSpec) -> str:
    """A data set and what a run has of it: "cifar10, 32 px, 20 % of the train pool, balanced"."""
    parts = [
        data.name,
        f"{data.resolution} px",
        f"{data.shots} shots" if data.shots is not None else "",
        f"{_percent(data.share)} of the train pool" if data.share is not None else "",
        "balanced" if data.balanced else "",
        "one draw for all seeds" if data.draw == "fixed" else "",
        f"{_percent(data.holdout)} held out" if data.holdout is not None else "",
        f"{_percent(data.corrupt_labels)} of the labels wrong" if data.corrupt_labels is not None else "",
        "without labels" if data.labels == "none" else "",
    ]
    return ", ".join(part for part in parts if part)


def counts_words(generated: int, reference: int, split: ReferenceSplit) -> str:
    """How many images are compared: "1000 generated against 200 reference images of the test split"."""
    return f"{generated} generated against {reference} reference images{REFERENCES[split]}"


def against(label: str, split: ReferenceSplit) -> str:
    """The name of a score with what it is against: "FID against the training images"; "FID" for the test split."""
    return f"{label} {AGAINST[split]}".rstrip()


def _percent(share: float) -> str:
    return f"{100 * share:g} %"
