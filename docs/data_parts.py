"""The generated parts of docs/datasets.md: the catalogue of data sets, read from its entries."""

from __future__ import annotations

import html

from bench.data.catalogue import DatasetEntry, PublishedFile, read_catalogue
from bench.plan.sets_of_tables import tables_by_set
from docs.grid import grid


def embedded_sets() -> str:
    """Every set that is made from installed packages."""
    body = [
        (
            f"`{name}`",
            _text(entry.summary),
            f"{entry.train:,} + {entry.test:,}",
            _text(entry.licence),
            _text(entry.source),
        )
        for name, entry in sorted(read_catalogue().items())
        if entry.embedded
    ]
    return grid(("name", "what it is", "train + test", "licence", "source"), body)


def published_sets() -> str:
    """Every set that needs the user's files: an overview, then a section for each."""
    entries = sorted((name, entry) for name, entry in read_catalogue().items() if not entry.embedded)
    tables = tables_by_set()
    heads = ("name", "what it is", "train + test", "at px", "fetched with `--download`", "tables")
    body = [
        (
            f"[`{name}`](#{_anchor(name)})",
            _text(entry.summary),
            _counts(entry),
            ", ".join(map(str, entry.resolutions)),
            "yes" if entry.downloads() else "no",
            _tables(tables.get(name)),
        )
        for name, entry in entries
    ]
    return "\n\n".join([grid(heads, body), *(_section(name, entry, tables.get(name)) for name, entry in entries)])


def build_command(name: str, entry: DatasetEntry) -> str:
    """The command that builds a published set at the first of its papers' resolutions."""
    return f"bench data build {name} --resolution {entry.resolutions[0]} --from {entry.path or 'DIR'}"


def _section(name: str, entry: DatasetEntry, tables: list[str] | None) -> str:
    rule = entry.split_rule
    lines = [
        f"### {name}",
        "",
        f"{_text(entry.summary[0].upper() + entry.summary[1:])}.",
        "",
        f"- Licence: {_text(entry.licence)}.",
        f"- Published at <{entry.homepage}>; {_text(entry.source)}.",
        *(f"- {_file(file)}" for file in entry.files),
        f"- Counts: at least {_counts(entry)}.",
    ]
    if rule is not None:
        lines.append(f"- Split: {_text(rule.rule)}. Paper: {_text(rule.paper)}.")
        if rule.declared:
            lines.append(f"- Declared, not the paper's: {_text(rule.declared)}.")
    lines.append(f"- Squares: {_squares(entry)}. Tables: {_tables(tables)}.")
    commands = [build_command(name, entry)]
    if entry.downloads():
        commands.insert(0, f"bench data build {name} --resolution {entry.resolutions[0]} --download")
    return "\n".join([*lines, "", "```sh", *commands, "```"])


def _tables(names: list[str] | None) -> str:
    return ", ".join(names) if names else "none yet"


def _file(file: PublishedFile) -> str:
    parts = [_text(file.holds)]
    parts += [f"<{file.url}>"] if file.url else []
    parts += [f"{file.bytes:,} bytes"] if file.bytes else []
    parts += [f"sha256 `{file.sha256}`"] if file.sha256 else []
    return f"`{file.name}`: {'; '.join(parts)}."


def _counts(entry: DatasetEntry) -> str:
    if entry.options.get("reference") == "all":
        return f"{entry.train:,}, all in both"
    return f"{entry.train:,} + {entry.test:,}"


def _squares(entry: DatasetEntry) -> str:
    small = ", of small ones too" if entry.options.get("small") == "enlarge" else ""
    if entry.options.get("fit") == "stretch":
        return f"the whole picture, stretched{small}"
    return f"the centre square{small}" if entry.options.get("crop") == "center" else "the pictures are of one size"


def _text(text: str) -> str:
    return html.escape(text, quote=False).replace("|", "\\|")


def _anchor(heading: str) -> str:
    """As GitHub makes it of a heading."""
    return "".join(letter for letter in heading.lower() if letter.isalnum() or letter in "-_")
