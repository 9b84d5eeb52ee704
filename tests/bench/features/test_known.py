"""The entries: what they promise, what they say of files that are not here, and which files they take."""

import importlib
from dataclasses import replace
from typing import get_args

import pytest

from bench import features
from bench.errors import UserError
from bench.features.known import OURS
from bench.features.lookup import entry, extractors
from bench.features.weights import PackagedWeights, UserWeights
from bench.spec.inception import Inception, Variant

NAMES = [card.name for card in OURS]
USERS = [name for name in NAMES if isinstance(entry(name).weights, UserWeights)]


def test_what_the_design_names_is_there():
    assert set(NAMES) >= {
        "effnet_lite0", "vgg16", "vgg16_fc6", "vgg16_fc7", "alexnet", "resnet50", "swav_resnet50",
        "inception", "inception_pytorch", "inception_tensorflow", "inception_torchvision",
        "dinov2_vits14", "dinov2_vitb14", "dinov2_vitl14", "clip_vitb32", "clip_vitl14", "clip_vitl14_336",
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_is_whole(name):
    card = entry(name)
    assert card.name == name and card.network and card.layer and card.licence
    assert card.sizes.allow(card.sizes.default) and card.sizes.allow(card.sizes.own)
    module, _, function = card.target.partition(":")
    assert callable(getattr(importlib.import_module(module), function))
    assert extractors().entry(name).summary == card.summary and str(card.dim) in card.summary


def test_two_files_never_share_a_place_or_a_variable():
    files = {entry(name).weights for name in USERS}
    for attribute in ("file", "variable"):
        assert len({getattr(weights, attribute) for weights in files}) == len(files)


@pytest.mark.parametrize("name", USERS)
def test_a_missing_file_is_described(name, monkeypatch, tmp_path):
    """Its name and place, the variable, where it is had, and size and digest as far as they are published."""
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("bench.features.weights.CLEANFID_FOLDER", tmp_path / "nowhere")
    weights = entry(name).weights
    monkeypatch.delenv(weights.variable, raising=False)
    reason = features.available(name) or ""
    size = f"{weights.size:,} bytes" if weights.size else ""
    digest = weights.sha256 or "no sha256 of it is published"
    for part in (
        str(tmp_path / weights.file),
        weights.variable,
        "https://",
        size,
        digest,
        "never downloaded",
    ):
        assert part in reason
    assert "\n" not in reason
    with pytest.raises(UserError, match="are not here"):
        features.load(name)


@pytest.mark.parametrize("name", NAMES)
def test_digests_are_whole_or_the_publishers_first_digits(name):
    digits = entry(name).weights.sha256
    assert len(digits) in ((64,) if isinstance(entry(name).weights, PackagedWeights) else (64, 8, 0))
    assert set(digits) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"cut off", r"7 bytes, the published file has 11; fetch the file again"),
     (b"other words", r"sha256 is .*…, that of the published file b94d27b9934d")],
)  # fmt: skip
def test_a_file_that_is_not_the_published_one_is_refused_where_only_that_is_taken(
    content, message, monkeypatch, tmp_path
):
    """By `available`, and so before anything trains."""
    card = entry("dinov2_vits14")
    hello = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"  # of b"hello world", 11 bytes
    monkeypatch.setenv("BENCH_DINOV2_VITS14", str(tmp_path / "mine.pth"))
    with extractors().override(card.name, replace(card, weights=replace(card.weights, size=11, sha256=hello))):
        (tmp_path / "mine.pth").write_bytes(b"hello world")
        assert features.available("dinov2_vits14") is None
        (tmp_path / "mine.pth").write_bytes(content)
        with pytest.raises(UserError, match=message):
            features.load("dinov2_vits14")
        assert "mine.pth" in (features.available("dinov2_vits14") or "")


def test_another_file_of_an_open_kind_is_taken_and_its_difference_known(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_RESNET50", str(tmp_path / "mine.pth"))
    (tmp_path / "mine.pth").write_bytes(b"my own")
    weights = entry("resnet50").weights
    assert isinstance(weights, UserWeights) and weights.find() == tmp_path / "mine.pth"
    assert weights.difference(weights.find()) == "6 bytes, the published file has 102,530,333"


def test_sizes_of_transformers_are_multiples_of_their_patch():
    assert features.parse_spec("dinov2_vits14@518") == ("dinov2_vits14", 518)
    with pytest.raises(UserError, match="must be a multiple of 14 from 112 to 518"):
        features.parse_spec("dinov2_vits14@256")


def test_variants_are_the_words_of_tables_and_each_has_one_extractor():
    variants = {entry(name).inception: name for name in NAMES if entry(name).inception}
    assert set(variants) == set(get_args(Variant)) == set(get_args(Inception)) - {"other", "unknown"}
    assert sum(entry(name).inception is not None for name in NAMES) == len(variants)
    assert variants["clean-fid"] == "inception"


def test_scores_on_each_variant_can_be_told_apart():
    assert [features.qualifier(name) for name in ("inception", "inception_tensorflow", "vgg16")] == [
        "", "tensorflow", "vgg16@64",
    ]  # fmt: skip
    assert len({features.qualifier(name) for name in NAMES}) == len(NAMES)
    inceptions = {name for name in NAMES if name.startswith("inception")}
    assert {name for name in NAMES if features.is_fid(name)} == inceptions - {"inception_logits"}
