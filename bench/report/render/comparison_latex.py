"""A comparison as LaTeX with booktabs rules: the data sets together, a table a data set, and the costs."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report import compare_words as words
from bench.report.compare import MethodComparison
from bench.report.render.latex import escape

FIT = "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%"


def render(comparison: MethodComparison) -> str:
    """The tables, to be \\input, then how to read them; the preamble needs booktabs and graphicx."""
    title = words.title(comparison)
    parts = [f"% {' '.join(title.split())}; needs booktabs and graphicx", _table(title, *words.summary(comparison))]
    for place in comparison.standings:
        caption = " ".join(filter(None, [f"{words.headline(comparison, place)}.", words.gaps_text(place)]))
        parts.append(_table(caption, words.baseline_heads(comparison), words.baseline_lines(comparison, place)))
    for costs in comparison.costs:
        missing = f". Without a measured cost: {words.unmeasured_text(costs)}" if costs.unmeasured else ""
        for device, points in costs.devices.items():
            caption = f"{words.cost_title(costs, device)}{missing}."
            parts.append(_table(caption, words.cost_heads(comparison), words.cost_lines(comparison, points)))
    sentences = [*words.refused_lines(comparison), *words.reading(comparison)]
    sentences += [words.cost_reading(comparison)] if comparison.costs else []
    notes = "\\par\n".join(map(escape, sentences))
    return "\n\n".join([*parts, f"\\begingroup\\small\\noindent\n{notes}\\par\n\\endgroup"]) + "\n"


def _table(caption: str, heads: Sequence[str], body: words.Lines) -> str:
    lines = [" & ".join(map(escape, line)) + " \\\\" for line in body]
    return "\n".join(
        [
            f"\\begin{{table}}[htbp]\n\\centering\n\\caption{{{escape(caption)}}}\n{FIT}",
            f"\\begin{{tabular}}{{{'l' * len(heads)}}}\n\\toprule\n{' & '.join(map(escape, heads))} \\\\\n\\midrule",
            *lines,
            "\\bottomrule\n\\end{tabular}}\n\\end{table}",
        ]
    )
