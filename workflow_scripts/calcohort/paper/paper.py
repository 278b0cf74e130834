"""Write the folder of a paper."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from calcohort.methods.references import bibtex, number_marks, reference_list
from calcohort.paper import latex, rerun
from calcohort.paper.contents import Paper, methods, tables_of
from calcohort.paper.figures import draw_all, journal_look
from calcohort.paper.word import write_docx
from calcohort.report.blocks import MINUS, NOTHING, Table

TITLE = "Calcium of the aortic root: methods, figures, tables"


def write_paper(
    folder: Path,
    tables: Mapping[str, pd.DataFrame],
    files: Mapping[str, Path],
    provenance: Mapping[str, Any],
) -> None:
    """Write Methods, references, tables, figures, and how to make the numbers again.

    Parameters
    ----------
    folder : Path
        Gets `methods.txt`, `methods.tex`, `references.bib`, `paper.tex`, `paper.docx`, `tables/`
        (CSV and LaTeX), `figures/` (PDF, SVG, PNG), `rerun.yaml`, `RERUN.md`, `tables.sha256`.
    tables : mapping
        See `contents.tables_of`; and `calcium`.
    files : mapping
        The cohort's tables as files, for their checksums.
    provenance : mapping
        What `provenance.collect` returned.
    """
    folder = Path(folder)
    settings = provenance["settings"]
    asked = settings["paper"]
    figures = draw_all(
        folder / "figures",
        tables["scans"],
        tables["calcium"],
        rule=settings["measure"]["mask_rule"],
        look=journal_look(asked["column_width_mm"], asked["dpi"]),
    )
    paper = Paper(methods(tables, provenance), tables_of(tables, settings), figures, folder)
    _write(folder / "methods.txt", _plain_methods(paper.methods))
    _write(folder / "methods.tex", latex.methods(paper.methods))
    _write(folder / "references.bib", bibtex(paper.methods))
    _write(folder / "paper.tex", latex.document(paper))
    for number, table in enumerate(paper.tables, start=1):
        stem = folder / "tables" / f"table_{number:02d}"
        _write_csv(stem.with_suffix(".csv"), table)
        _write(stem.with_suffix(".tex"), latex.table(table))
    write_docx(folder / "paper.docx", paper, TITLE)
    _write(folder / "rerun.yaml", rerun.rerun_config(provenance))
    _write(folder / "RERUN.md", rerun.instructions(provenance, tables["scans"]))
    _write(folder / "tables.sha256", rerun.checksums(files))


def _plain_methods(marked: str) -> str:
    listed = (f"[{n}] {entry}" for n, entry in enumerate(reference_list(marked), start=1))
    return "\n".join([number_marks(marked), "", *listed, ""])


def _write_csv(path: Path, table: Table) -> None:
    """Write a table's cells as printed, but minus signs and missing values as programs read."""
    rows = ([_machine(cell) for cell in row] for row in [table.head, *table.rows])
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)


def _machine(cell: str) -> str:
    return "" if cell == NOTHING else cell.replace(MINUS, "-")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
