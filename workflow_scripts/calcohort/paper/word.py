"""A paper as DOCX, for those who write in a word processor."""

from pathlib import Path

from docx import Document
from docx.enum.section import WD_ORIENT
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.shared import Pt

from calcohort.methods.references import number_marks, reference_list
from calcohort.outcomes import atomic_path
from calcohort.paper.contents import Paper
from calcohort.report.blocks import Table

TABLE_STYLE = "Light Shading"
TABLE_PT = 7


def write_docx(path: Path, paper: Paper, title: str) -> None:
    """Write Methods, references, figures (their PNG) and tables, whole or not at all."""
    document = Document()
    document.add_heading(title, level=0)
    document.add_heading("Methods", level=1)
    document.add_paragraph(number_marks(paper.methods))
    document.add_heading("References", level=1)
    for number, entry in enumerate(reference_list(paper.methods), start=1):
        document.add_paragraph(f"{number}. {entry}")
    if paper.figures:
        document.add_heading("Figures", level=1)
    for number, figure in enumerate(paper.figures, start=1):
        document.add_picture(str(paper.folder / "figures" / f"{figure.stem}.png"))
        document.add_paragraph(f"Figure {number}. {figure.caption}", style="Caption")
    _turn(document)
    document.add_heading("Tables", level=1)
    for number, table in enumerate(paper.tables, start=1):
        _add_table(document, number, table)
    with atomic_path(path) as temporary:
        document.save(temporary)


def _turn(document) -> None:
    """Begin a section in landscape."""
    section = document.add_section()
    section.orientation = WD_ORIENT.LANDSCAPE
    section.page_width, section.page_height = section.page_height, section.page_width


def _add_table(document, number: int, content: Table) -> None:
    caption = document.add_paragraph(f"Table {number}. {content.caption}", style="Caption")
    caption.paragraph_format.keep_with_next = True
    heads = ([_spread_groups(content)] if content.groups else []) + [content.head]
    table = document.add_table(len(heads) + len(content.rows), len(content.head), TABLE_STYLE)
    for row, cells in zip(table.rows, [*heads, *content.rows], strict=True):
        for column, (cell, text) in enumerate(zip(row.cells, cells, strict=True)):
            paragraph = cell.paragraphs[0]
            paragraph.add_run(text).font.size = Pt(TABLE_PT)
            if column and column not in content.text_columns:
                paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
    if content.groups:
        _merge_groups(table, content)
    if content.note:
        document.add_paragraph().add_run(content.note).font.size = Pt(TABLE_PT + 1)


def _spread_groups(content: Table) -> list[str]:
    """Write each group's name above its first column."""
    return [text for name, span in content.groups for text in [name] + [""] * (span - 1)]


def _merge_groups(table, content: Table) -> None:
    first, cells = 0, table.rows[0].cells
    for _, span in content.groups:
        if span > 1:
            cells[first].merge(cells[first + span - 1])
        for paragraph in cells[first].paragraphs[1:]:
            paragraph._element.getparent().remove(paragraph._element)
        first += span
