"""A paper as LaTeX: one file that compiles, tables after booktabs' rules.

Compile it with `pdflatex paper && bibtex paper && pdflatex paper && pdflatex paper`, or with
LuaLaTeX where names are in other than Latin letters.
"""

import re

from calcohort.methods.references import MARK
from calcohort.paper.contents import Figure, Paper
from calcohort.report.blocks import Table

WIDE_COLUMNS = 7
TURNED_COLUMNS = 10
SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\ensuremath{<}",
    ">": r"\ensuremath{>}",
    "|": r"\ensuremath{|}",
    "\u2212": r"\ensuremath{-}",
    "\u2013": "--",
    "×": r"\ensuremath{\times}",
    "±": r"\ensuremath{\pm}",
    "≤": r"\ensuremath{\le}",
    "≥": r"\ensuremath{\ge}",
    "√": r"\ensuremath{\surd}",
    "Σ": r"\ensuremath{\Sigma}",
    "²": r"\textsuperscript{2}",
    "³": r"\textsuperscript{3}",
    "°": r"\ensuremath{^\circ}",
    "∞": r"\ensuremath{\infty}",
}
SPECIAL_PATTERN = re.compile("|".join(map(re.escape, SPECIAL)))

PREAMBLE = r"""\documentclass[10pt]{article}
\usepackage{iftex}
\ifpdftex\usepackage[utf8]{inputenc}\usepackage[T1]{fontenc}\fi
\usepackage[a4paper,margin=20mm]{geometry}
\usepackage{booktabs,graphicx,rotating}
\usepackage[hidelinks]{hyperref}
\begin{document}
"""


def escape(text: str) -> str:
    """Write a text so that LaTeX prints it as it is."""
    return SPECIAL_PATTERN.sub(lambda m: SPECIAL[m[0]], text)


def methods(marked: str) -> str:
    r"""Write the Methods, their marks as ``\cite{…}``."""
    parts, end = [], 0
    for mark in MARK.finditer(marked):
        keys = mark[1].replace("@", "").replace(";", ",")
        parts += [escape(marked[end : mark.start()].rstrip()), rf"~\cite{{{keys}}}"]
        end = mark.end()
    return "".join([*parts, escape(marked[end:])]) + "\n"


def table(content: Table) -> str:
    """Write a table: of many columns as wide as the page, of more turned on a page of its own."""
    columns = range(len(content.head))
    letters = "".join("l" if c == 0 or c in content.text_columns else "r" for c in columns)
    widths = _paragraph_columns(content, letters)
    lines = [rf"\begin{{tabular}}{{@{{}}{widths}@{{}}}}", r"\toprule"]
    if content.groups:
        lines += _groups(content.groups)
    lines += [_row(content.head), r"\midrule", *map(_row, content.rows), r"\bottomrule"]
    lines.append(r"\end{tabular}")
    body = "\n".join(lines)
    if len(content.head) > WIDE_COLUMNS:
        body = f"\\resizebox{{\\linewidth}}{{!}}{{%\n{body}}}"
    note = (
        f"\\par\\smallskip{{\\footnotesize {escape(content.note)}\\par}}\n" if content.note else ""
    )
    caption = rf"\caption{{{escape(content.caption)}}}\smallskip"
    kind = "sidewaystable" if len(content.head) > TURNED_COLUMNS else "table"
    content_of = f"\\centering\\small\n{caption}\n{body}\n{note}"
    return f"\\begin{{{kind}}}[htbp]\n{content_of}\\end{{{kind}}}\n"


def document(paper: Paper) -> str:
    """Write the whole paper; it reads `methods.tex`, `tables/*.tex` and `references.bib`."""
    parts = [PREAMBLE, "\\section*{Methods}\n\\input{methods}\n"]
    parts += [*map(_figure, paper.figures), "\\clearpage\n"]
    parts += [f"\\input{{tables/table_{n:02d}}}\n" for n in range(1, len(paper.tables) + 1)]
    parts += ["\\clearpage\n\\bibliographystyle{unsrt}\n\\bibliography{references}\n"]
    return "".join([*parts, "\\end{document}\n"])


def _figure(figure: Figure) -> str:
    return (
        f"\\begin{{figure}}[htbp]\n\\centering\n\\includegraphics{{figures/{figure.stem}.pdf}}\n"
        f"\\caption{{{escape(figure.caption)}}}\n\\end{{figure}}\n"
    )


def _groups(groups: list[tuple[str, int]]) -> list[str]:
    cells, rules, first = [], [], 1
    for name, span in groups:
        cells.append(rf"\multicolumn{{{span}}}{{c}}{{{escape(name)}}}")
        if name:
            rules.append(rf"\cmidrule(lr){{{first}-{first + span - 1}}}")
        first += span
    return [" & ".join(cells) + r" \\", " ".join(rules)]


def _row(cells: list[str]) -> str:
    return " & ".join(map(escape, cells)) + r" \\"


def _paragraph_columns(content: Table, letters: str) -> str:
    """Break the lines of columns with long words, which a page cannot hold on one line."""
    cells = [[row[c] for row in [content.head, *content.rows]] for c in range(len(letters))]
    longest = [max(map(len, column)) for column in cells]
    return "".join(
        "p{60mm}" if letter == "l" and length > 45 else letter
        for letter, length in zip(letters, longest, strict=True)
    )
