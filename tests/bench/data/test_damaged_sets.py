"""Built sets whose files were damaged: each verb has one line that names the file, whatever is in it."""

from __future__ import annotations

import json
import random
from functools import partial
from typing import Any

import numpy as np
import pytest

from bench.data import summary, summary_text, verification
from bench.data.imageset import load
from bench.data.showing import Choice, show
from bench.errors import UserError

JUNK: list[Any] = [
    None,
    0,
    -1,
    1e300,
    "",
    "x",
    [],
    {},
    [[]],
    {"a": 1},
    True,
    "\0",
    "../../x",
    10**30,
    [1, 2],
    float("nan"),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    load("shapes", 8)
    return tmp_path / "cache" / "data" / "shapes-8"


def damaged(value, stream):
    """The value with one part of it, somewhere inside, gone or replaced."""
    if isinstance(value, dict) and value and stream.random() < 0.8:
        key = stream.choice(list(value))
        rest = {name: part for name, part in value.items() if name != key}
        return rest if stream.random() < 0.2 else rest | {key: damaged(value[key], stream)}
    if isinstance(value, list) and value and stream.random() < 0.6:
        place = stream.randrange(len(value))
        return [*value[:place], damaged(value[place], stream), *value[place + 1 :]]
    return stream.choice(JUNK)


@pytest.fixture
def copies_found_once(monkeypatch):
    """Copies among pictures are looked for once: it takes a fifth of a second, and the pictures stay what they are."""
    known, look_for = {}, summary.near_duplicates

    def remembered(*arrays):
        key = tuple(array.tobytes() for array in arrays)
        if key not in known:
            known[key] = look_for(*arrays)
        return known[key]

    monkeypatch.setattr(summary, "near_duplicates", remembered)
    return known


def test_every_verb_survives_every_record(folder, tmp_path, copies_found_once):
    whole = json.loads((folder / "meta.json").read_text())
    verbs = [
        lambda: summary_text.as_lines(summary.summarise("shapes", 8)),
        lambda: summary_text.as_json(summary.summarise("shapes", 8)),
        partial(show, "shapes", 8, Choice(count=2, class_name="ring"), tmp_path / "sheet.png"),
        partial(verification.verify, "shapes", 8),
        lambda: list(verification.verify_all()),
    ]
    refused = []
    for number in range(120):
        stream = random.Random(number)
        (folder / "meta.json").write_text(json.dumps(damaged(whole, stream)))
        for verb in verbs:
            try:
                verb()
            except UserError as error:
                refused.append(str(error))
    assert len(refused) > 200, "most of the damage is found"
    assert copies_found_once, "some records are good enough to look at the pictures"
    assert [message for message in refused if "\n" in message] == []
    (folder / "meta.json").write_text("[" * 100_000)
    with pytest.raises(UserError, match=r"meta.json: missing or damaged; build it again"):
        summary.summarise("shapes", 8)


@pytest.mark.parametrize(
    "file", ["../train.npy", "/etc/passwd", "train_more.npy", "train.npy\n"], ids=["up", "absolute", "other", "line"]
)
def test_a_record_names_no_file_but_those_of_a_set(folder, file):
    meta = json.loads((folder / "meta.json").read_text())
    meta["files"][file] = meta["files"]["train.npy"]
    (folder / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(UserError, match="meta.json: missing or damaged"):
        verification.verify("shapes", 8)


@pytest.mark.parametrize("label", [-1, 4, 2**62])
def test_labels_beyond_the_classes(folder, label):
    labels = np.load(folder / "test_labels.npy")
    labels[3] = label
    np.save(folder / "test_labels.npy", labels)
    with pytest.raises(UserError, match=r"shapes-8: the test labels do not fit its classes; build it again with"):
        summary.summarise("shapes", 8)
    with pytest.raises(UserError, match=r"test_labels.npy: its content is not what was built"):
        verification.verify("shapes", 8)
