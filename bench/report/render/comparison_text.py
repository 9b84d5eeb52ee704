"""A comparison as plain text for the terminal, and as GitHub Markdown."""

from __future__ import annotations

import textwrap

from tabulate import tabulate

from bench.report import compare_words as words
from bench.report.compare import MethodComparison
from bench.report.render import markdown

WIDTH = 120


def render(comparison: MethodComparison) -> str:
    """The comparison as plain text: the data sets together, then one after the other, then cost and how to read it."""
    parts = [_wrapped(words.title(comparison)), _plain(*words.summary(comparison))]
    for place in comparison.standings:
        body = _plain(words.baseline_heads(comparison), words.baseline_lines(comparison, place))
        parts.append("\n".join([words.headline(comparison, place), body, *_some(words.gaps_text(place))]))
    for costs in comparison.costs:
        for device, points in costs.devices.items():
            body = _plain(words.cost_heads(comparison), words.cost_lines(comparison, points))
            parts.append(f"{words.cost_title(costs, device)}\n{body}")
        if costs.unmeasured:
            parts.append(_wrapped(f"{costs.column}: without a measured cost: {words.unmeasured_text(costs)}."))
    sentences = [*words.refused_lines(comparison), *words.reading(comparison)]
    sentences += [words.cost_reading(comparison)] if comparison.costs else []
    return "\n\n".join([*parts, "\n".join(map(_wrapped, sentences))]) + "\n"


def render_markdown(comparison: MethodComparison) -> str:
    """The comparison as GitHub Markdown."""
    parts = [f"## {markdown.escape(words.title(comparison))}", _piped(*words.summary(comparison))]
    for place in comparison.standings:
        parts.append(markdown.escape(words.headline(comparison, place)))
        parts.append(_piped(words.baseline_heads(comparison), words.baseline_lines(comparison, place)))
        parts += map(markdown.escape, _some(words.gaps_text(place)))
    for costs in comparison.costs:
        for device, points in costs.devices.items():
            parts.append(markdown.escape(words.cost_title(costs, device)))
            parts.append(_piped(words.cost_heads(comparison), words.cost_lines(comparison, points)))
        if costs.unmeasured:
            parts.append(markdown.escape(f"{costs.column}: without a measured cost: {words.unmeasured_text(costs)}."))
    sentences = [*words.refused_lines(comparison), *words.reading(comparison)]
    sentences += [words.cost_reading(comparison)] if comparison.costs else []
    return "\n\n".join([*parts, *map(markdown.escape, sentences)]) + "\n"


def _plain(heads: list[str], body: list[list[str]]) -> str:
    return tabulate([[" ".join(one.split()) for one in line] for line in body], headers=heads, tablefmt="simple",
                    disable_numparse=True)  # fmt: skip


def _piped(heads: list[str], body: list[list[str]]) -> str:
    escaped = [[markdown.escape(" ".join(one.split())) for one in line] for line in body]
    return "\n".join(markdown.table([markdown.escape(head) for head in heads], escaped))


def _some(text: str) -> list[str]:
    return [text] if text else []


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
