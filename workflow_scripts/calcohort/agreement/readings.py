"""Who is compared with whom: automatic with readers, readers with each other and themselves.

A reference column of the sheet, for instance `reference_volume_mm3`, holds the first reading of the
study's reader. Columns named after it hold further readings: `reference_volume_mm3_B` is reader B,
`reference_volume_mm3_B_2` B's second reading, and `reference_volume_mm3_2` the second reading of
the study's reader.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

QUANTITIES = {
    "threshold_hu": ("reference_threshold_hu", "HU", "threshold"),
    "calcium_volume_mm3": ("reference_volume_mm3", "mm³", "calcium volume"),
    "mass_mg": ("reference_mass_mg", "mg", "calcium mass"),
    "lesion_count": ("reference_lesion_count", "lesions", "lesion count"),
    "agatston_au": ("reference_score", "AU", "Agatston score"),
    "root_volume_mm3": ("reference_root_volume_mm3", "mm³", "root volume"),
}
"""Measured column to its reference column, its unit, and its name."""

READER = {quantity: column for quantity, (column, *_) in QUANTITIES.items()}
UNITS = {quantity: unit for quantity, (_, unit, _) in QUANTITIES.items()}
NAMES = {quantity: name for quantity, (*_, name) in QUANTITIES.items()}
STUDY_READER = "reader"
SUFFIX = re.compile(r"(?:_(?P<reader>[A-Za-z][A-Za-z0-9]*))?(?:_(?P<reading>[2-9]))?")


@dataclass(frozen=True, order=True)
class Reading:
    """One reading of one reader: the column of the sheet that holds it."""

    reader: str
    number: int
    column: str

    @property
    def name(self) -> str:
        """As tables show it: `reader`, `reader B`, `reader B, reading 2`."""
        of = self.reader if self.reader == STUDY_READER else f"reader {self.reader}"
        return of if self.number == 1 else f"{of}, reading {self.number}"


def find_readings(column: str, columns: Iterable[str]) -> list[Reading]:
    """Find the readings of a reference column; the study's reader first, then by name."""
    found = []
    for candidate in columns:
        match = candidate.startswith(column) and SUFFIX.fullmatch(candidate[len(column) :])
        if match:
            number = int(match["reading"] or 1)
            found.append(Reading(match["reader"] or STUDY_READER, number, candidate))
    return sorted(found, key=lambda r: (r.reader != STUDY_READER, r.reader, r.number))


def reader_pairs(readings: list[Reading]) -> list[tuple[str, Reading, Reading]]:
    """Pair readings: `inter_reader` for first readings, `intra_reader` for later against first.

    Returns
    -------
    list of (comparison, first, second)
        Differences are first - second: the later reader or reading minus the earlier one.
    """
    firsts = [r for r in readings if r.number == 1]
    inter = [
        ("inter_reader", later, earlier) for n, later in enumerate(firsts) for earlier in firsts[:n]
    ]
    intra = [
        ("intra_reader", later, first)
        for first in firsts
        for later in readings
        if later.reader == first.reader and later.number > 1
    ]
    return inter + intra
