"""The summary of a data set as lines for people and as a document for scripts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from bench.data.summary import Group, Summary

SCHEMA_VERSION = 1  # raised when a key of the document changes its meaning or goes; a new key does not raise it
LISTED = 20  # groups of copies that are printed; the document has all


def as_json(summary: Summary) -> str:
    """The document of `--json`; docs/data.md has its keys."""
    return json.dumps({"schema_version": SCHEMA_VERSION} | asdict(summary), indent=1, ensure_ascii=False)


def as_lines(summary: Summary) -> list[str]:
    """What a person wants to know before training on a set."""
    images = " + ".join(f"{count:,} {split}" for split, count in summary.images.items())
    same = ", the same images in both" if summary.one_split else ""
    lines = [f"{summary.name} at {summary.resolution} px: {images} images{same}"]
    lines += _table("classes", ((name, _counts(counts)) for name, counts in summary.classes.items()))
    lines += _table("attributes", ((name, _shares(shares)) for name, shares in summary.attributes.items()))
    lines += _table(
        "colours",
        ((one.channel, f"{one.min} to {one.max}, mean {one.mean:.1f}, std {one.std:.1f}") for one in summary.colours),
    )
    lines += _few(summary) + _copies(summary)
    lines += _table("files", ((name, f"{size:,} bytes") for name, size in summary.files.items()))
    lines += _notes(summary.notes)
    return [*lines, f"licence: {summary.licence}", f"sha256: {summary.sha256}"]


def _table(head: str, rows: Iterable[tuple[str, str]]) -> list[str]:
    rows = list(rows)
    width = max((len(name) for name, _ in rows), default=0)
    return [f"{head}:", *(f"  {name:{width}}  {text}" for name, text in rows)] if rows else []


def _counts(counts: dict[str, int]) -> str:
    return " + ".join(f"{count:,} {split}" for split, count in counts.items())


def _shares(shares: dict[str, float]) -> str:
    return ", ".join(f"{share:.1%} of {split}" for split, share in shares.items())


def _few(summary: Summary) -> list[str]:
    total = summary.images["train"] + (0 if summary.one_split else summary.images["test"])
    return [
        f"grey: {summary.grey:,} of {total:,} images ({summary.grey / total:.1%})",
        f"of one colour: {summary.constant:,} of {total:,} images ({summary.constant / total:.1%})",
    ]


def _copies(summary: Summary) -> list[str]:
    """How many groups of copies there are, then those across the splits and the largest."""
    if not summary.copies:
        return ["copies: none, neither exact nor near"]
    lines = ["copies:"]
    for kind in ("exact", "near"):
        groups = [group for group in summary.copies if group.kind == kind]
        if groups:
            across = sum(group.across for group in groups)
            images = sum(len(group.images) for group in groups)
            lines.append(f"  {kind}: {_count(len(groups), 'group')} of {images:,} images, {across:,} across the splits")
    shown = sorted(summary.copies, key=lambda group: (not group.across, -len(group.images), group.images))
    lines += [f"    {_group(group)}" for group in shown[:LISTED]]
    more = len(shown) - LISTED
    return lines if more <= 0 else [*lines, f"    and {_count(more, 'group')} more (--json has all)"]


def _group(group: Group, most: int = 6) -> str:
    """For example "near: train 4, train 1489"."""
    images = ", ".join(f"{split} {index}" for split, index in group.images[:most])
    more = len(group.images) - most
    return f"{group.kind}: {images}{f' and {more:,} more' if more > 0 else ''}"


def _notes(notes: dict[str, Any]) -> list[str]:
    """What the builder recorded; lists (bad files, copies in the source) a line each."""
    lines = []
    for name, value in notes.items():
        if isinstance(value, list):
            lines += [f"  {name}:", *(f"    {str(line).strip()}" for line in value)] if value else []
        elif value not in ("", None):
            text = f"{value:,}" if isinstance(value, int) else str(value)
            lines.append(f"  {text}" if text.startswith(f"{name}: ") else f"  {name}: {text}")
    return ["from its build:", *lines] if lines else []


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
