"""What a section of the page is made of, and how numbers are written."""

import base64
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

MEDIA_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}
LONGEST_LIST = 60
MINUS, NOTHING = "\u2212", "\u2013"


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    kind: str = "text"


@dataclass(frozen=True)
class Link:
    """A paragraph that begins with a link to a file beside the page."""

    target: str
    name: str
    text: str
    kind: str = "link"


@dataclass(frozen=True)
class Table:
    """A table of text cells; the first cell of a row is its header.

    Attributes
    ----------
    caption : str
    head : list of str
        The columns' names.
    rows : list of list of str
    groups : list of (str, int)
        Names above the columns and how many columns each spans; empty for none.
    text_columns : set of int
        Columns that hold words, not numbers.
    of_scans : bool
        Whether rows are scans: their headers link to the scans' pages or pictures. Long lists of
        scans (`is_long`) are folded, and not printed.
    folded : bool
        Whether the table is shown only when its caption is opened.
    main : str
        Header (up to a colon) of the row to stress.
    note : str
        A line below the table.
    """

    caption: str
    head: list[str]
    rows: list[list[str]]
    groups: list[tuple[str, int]] = field(default_factory=list)
    text_columns: frozenset[int] = frozenset()
    of_scans: bool = False
    folded: bool = False
    main: str = ""
    note: str = ""
    kind: str = "table"

    @property
    def is_long(self) -> bool:
        """Whether the table lists more scans than people read."""
        return self.of_scans and len(self.rows) > LONGEST_LIST


@dataclass(frozen=True)
class Cards:
    """Key numbers: value, what it is, and a remark."""

    cards: list[tuple[str, str, str]]
    kind: str = "cards"


@dataclass(frozen=True)
class Drawing:
    """Inline SVG."""

    svg: Markup
    kind: str = "drawing"


@dataclass(frozen=True)
class Image:
    """An embedded image with its caption."""

    source: str
    caption: str
    alt: str
    kind: str = "image"


@dataclass(frozen=True)
class Code:
    """Text as it is, shown when its caption is opened."""

    caption: str
    text: str
    kind: str = "code"


@dataclass(frozen=True)
class Section:
    """A section of the page."""

    anchor: str
    title: str
    blocks: list[Any]


def embed(path: Path) -> str:
    """Return a PNG or SVG file as a data URI, so that the page needs no other file."""
    path = Path(path)
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return f"data:{MEDIA_TYPES[path.suffix.lower()]};base64,{data}"


def number(value: Any, digits: int = 1) -> str:
    """Write a number with `digits` decimals; a dash where there is none."""
    if value is None or value != value or (isinstance(value, float) and math.isinf(value)):
        return NOTHING
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return text.replace("-", MINUS)


def interval(low: Any, high: Any, digits: int = 1) -> str:
    """Write an interval; a dash where it has no bounds."""
    if NOTHING in (number(low), number(high)):
        return NOTHING
    return f"{number(low, digits)} to {number(high, digits)}"


def spread(known: pd.Series, digits: int) -> str:
    """Write values as mean ± SD (lowest to highest); equal ones once, a dash for none."""
    if known.empty:
        return NOTHING
    if known.min() == known.max():
        return number(known.iloc[0], digits)
    middle = f"{number(known.mean(), digits)} ± {number(known.std(ddof=1), digits)}"
    return f"{middle} ({interval(known.min(), known.max(), digits)})"


def p_value(p: Any) -> str:
    """Write a p-value as papers do."""
    if number(p) == NOTHING:
        return NOTHING
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}" if p < 0.01 else f"{p:.2f}"
