"""A report as LaTeX with booktabs rules: one table environment per block, the marked cells in bold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.report.claims.page import ClaimsPage
from bench.report.claims.result import ClaimResult
from bench.report.claims.words import details, sentence
from bench.report.model import Block, RowHead, TableReport
from bench.report.render.cell_text import Shown, column_text, row_text, shown_columns, shown_rows
from bench.report.render.joined import shown_blocks

PACKAGES = "\\usepackage{booktabs}\n\\usepackage{graphicx}\n"
_ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%",
    "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}", "[": "{[}", "]": "{]}", "-": r"{-}", "\n": " ", "\t": " ",
    "±": r"$\pm$", "†": r"$\dagger$", "∞": r"$\infty$", "×": r"$\times$",
    "÷": r"$\div$", "→": r"$\rightarrow$",
    "≤": r"$\leq$", "≥": r"$\geq$", "–": "--", "—": "---", "’": "'", "…": r"\ldots{}",
}  # fmt: skip


def render(report: TableReport) -> str:
    """The tables, to be \\input, then claims and caption; the preamble needs booktabs and graphicx."""
    parts = [f"% {' '.join(report.name.split())} at scale {report.scale}; needs booktabs and graphicx"]
    parts += ["\n".join(_table(report, block, number)) for number, block in enumerate(shown_blocks(report))]
    if report.figure is not None and report.figure.file:
        parts.append(f"\\noindent\\includegraphics[width=\\linewidth]{{{report.figure.file}}}\\par")
    if report.claims:
        parts.append("\n".join(_claims(report.claims)))
    sentences = [escape(line) for line in (*report.caption, *report.notes)]
    notes = "\\par\n".join(sentences).replace("; marked: ", "; bold: ", 1)
    parts.append(f"\\begingroup\\small\\noindent\n{notes}\\par\n\\endgroup")
    return "\n\n".join(parts) + "\n"


def render_claims(page: ClaimsPage) -> str:
    """The claims of several tables, to be \\input, a paragraph a table."""
    parts = [f"% {page.title}", *(f"\\noindent {escape(note)}\\par" for note in page.notes)]
    for group in page.groups:
        parts += [f"\\paragraph{{{escape(group.title)}}}", "\n".join(_claims(group.claims))]
    return "\n\n".join(parts) + "\n"


def document(report: TableReport) -> str:
    """`render` as a whole document for pdflatex."""
    head = "\\documentclass{article}\n\\usepackage[T1]{fontenc}\n\\usepackage{textcomp}\n"
    return f"{head}{PACKAGES}\\begin{{document}}\n{render(report)}\\end{{document}}\n"


def escape(text: str) -> str:
    """Text that LaTeX sets as it is; a character that pdflatex has no glyph for is set as its code point."""
    return "".join(_ESCAPES.get(char) or (char if _is_set(char) else _code(char)) for char in text)


def _is_set(char: str) -> bool:
    """Whether the T1 encoding sets it as it is: printable ASCII and the accented letters of Latin-1."""
    return " " <= char <= "~" or "À" <= char <= "ÿ"


def _code(char: str) -> str:
    return f"\\texttt{{U+{ord(char):04X}}}"


def _table(report: TableReport, block: Block, number: int) -> Iterator[str]:
    """One block, shrunk to the line where it would be wider."""
    label = f"tab:{report.name.replace('/', '-')}-{report.scale}-{number}"
    title = f"{report.title} (scale {report.scale}). {block.title}." + "".join(f" {note}" for note in block.notes)
    columns = shown_columns(report, block)
    heads = " & ".join(["", *(escape(column_text(column)) for column in columns)])
    yield "\\begin{table}[htbp]\n\\centering"
    yield f"\\caption{{{escape(title)}}}\n\\label{{{label}}}"
    yield "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%"
    yield f"\\begin{{tabular}}{{l{'l' * len(columns)}}}\n\\toprule\n{heads} \\\\\n\\midrule"
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


def _claims(claims: Sequence[ClaimResult]) -> Iterator[str]:
    yield "\\begin{description}"
    for claim in claims:
        yield f"\\item[{escape(claim.verdict)}] {escape(sentence(claim))}."
        for line in details(claim):
            yield f"\\\\ {escape(line)}"
    yield "\\end{description}"
