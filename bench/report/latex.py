"""A report as LaTeX with booktabs rules: one table environment a block, the marked cells in bold."""

from __future__ import annotations

from collections.abc import Iterator

from bench.report.celltext import Shown, column_text, row_text, shown_rows
from bench.report.model import Block, RowHead, TableReport
from bench.report.pairs import comparison_text

PACKAGES = "\\usepackage{booktabs}\n\\usepackage{graphicx}\n"
_ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "±": r"$\pm$", "†": r"$\dagger$", "∞": r"$\infty$", "–": "--",
    "—": "---", "×": r"$\times$", "→": r"$\rightarrow$", "≤": r"$\leq$", "≥": r"$\geq$", "’": "'", "…": r"\ldots{}",
    "-": r"{-}", "`": r"\textasciigrave{}", "'": r"\textquotesingle{}", "[": "{[}", "]": "{]}",
    "\n": " ", "\t": " ",
}  # fmt: skip


def render(report: TableReport) -> str:
    """The tables, to be \\input; the preamble needs booktabs and graphicx. The caption stands under the last one."""
    parts = [f"% {_comment(report.name)} at scale {report.scale}; needs booktabs and graphicx"]
    parts += ["\n".join(_table(report, block, number)) for number, block in enumerate(report.blocks)]
    if report.claims:
        parts.append("\n".join(_claims(report)))
    sentences = [escape(line) for line in (*report.caption, *report.notes)]
    notes = "\\par\n".join(sentences).replace("; marked: ", "; bold: ", 1)
    parts.append(f"\\begingroup\\small\\noindent\n{notes}\\par\n\\endgroup")
    return "\n\n".join(parts) + "\n"


def document(report: TableReport) -> str:
    """`render` as a whole document for pdflatex."""
    head = "\\documentclass{article}\n\\usepackage[T1]{fontenc}\n\\usepackage{textcomp}\n"
    return f"{head}{PACKAGES}\\begin{{document}}\n{render(report)}\\end{{document}}\n"


def escape(text: str) -> str:
    """Text that LaTeX sets as it is; a character that pdflatex has no glyph for is set as its code point."""
    return "".join(
        _ESCAPES.get(char) or (char if " " <= char <= "ÿ" and _is_set(char) else _code(char)) for char in text
    )


def _is_set(char: str) -> bool:
    """Whether the T1 encoding with UTF-8 input sets it: printable ASCII and the accented Latin letters."""
    return char < "\x7f" or (char >= "À" and char not in "×÷")


def _code(char: str) -> str:
    return f"\\texttt{{U+{ord(char):04X}}}"


def _comment(text: str) -> str:
    return " ".join(text.split())


def _table(report: TableReport, block: Block, number: int) -> Iterator[str]:
    """One block, shrunk to the line where it would be wider."""
    label = f"tab:{report.name.replace('/', '-')}-{report.scale}-{number}"
    title = f"{report.title} (scale {report.scale}). {block.title}." + "".join(
        f" {note}" for note in block.notes
    )
    heads = " & ".join(["", *(escape(column_text(column)) for column in report.columns)])
    yield "\\begin{table}[htbp]\n\\centering"
    yield f"\\caption{{{escape(title)}}}\n\\label{{{label}}}"
    yield "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%"
    yield f"\\begin{{tabular}}{{l{'l' * len(report.columns)}}}\n\\toprule\n{heads} \\\\\n\\midrule"
    kind = ""
    for row, cells in shown_rows(report, block):
        if kind and row.kind == "reference" and kind != "reference":
            yield "\\midrule"
        kind = row.kind
        yield " & ".join([_label(row), *map(_cell, cells)]) + " \\\\"
    yield "\\bottomrule\n\\end{tabular}}\n\\end{table}"


def _label(row: RowHead) -> str:
    text = row_text(row)
    return ("\\quad " if text.startswith(" ") else "") + escape(text.lstrip())


def _cell(cell: Shown) -> str:
    text = escape(cell.text)
    return f"\\textbf{{\\boldmath {text}}}" if cell.marked else text


def _claims(report: TableReport) -> Iterator[str]:
    yield "\\begin{description}"
    for claim in report.claims:
        yield f"\\item[{escape(claim.verdict)}] {escape(claim.text)} ({escape(claim.id)}): {escape(claim.reason)}."
        for one in claim.comparisons:
            yield f"\\\\ {escape(one.column)}: {escape(comparison_text(one))}"
    yield "\\end{description}"
