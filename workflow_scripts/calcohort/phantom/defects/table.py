"""All defects and pairs of them, what is expected of each, and the page that tells it."""

from collections.abc import Iterator
from dataclasses import dataclass

from calcohort.dicom.limits import Limits, Repairs
from calcohort.outcomes import Reason
from calcohort.phantom.defects import compression, files, headers, pixels, places
from calcohort.phantom.defects.scan import DEFECTS, Defect

LIMITS = Limits(min_slices=20, min_coverage_mm=30)
"""What the defective scans are held to: they are small, 24 slices of 40 x 48 pixels."""
ALL_REPAIRS = Repairs(
    identical_duplicates=True,
    padding=True,
    slice_rescale=True,
    phases=True,
    tilt=True,
    uneven_spacing=True,
    max_missing_slices=2,
)
MODULES = {
    places: "Where slices lie",
    headers: "What headers say",
    pixels: "Stored values and bits",
    compression: "Compression and transfer syntaxes",
    files: "Files, and enhanced multi-frame CT",
}


@dataclass(frozen=True)
class Case:
    """Defects of one scan, applied in their order, and what becomes of it.

    `refused` and `refused_repairing` are None where the scan converts; `repairs` are then recorded.
    """

    defects: tuple[Defect, ...]
    refused: Reason | None
    refused_repairing: Reason | None
    repairs: tuple[str, ...]

    @property
    def name(self) -> str:
        """The defects' names."""
        return " + ".join(defect.name for defect in self.defects)


def cases() -> Iterator[Case]:
    """Yield every defect alone, then the pairs."""
    for defect in DEFECTS.values():
        yield Case((defect,), defect.refused, defect.refused_repairing, defect.repairs)
    for first, second, refused, refused_repairing, repairs in PAIRS:
        both = DEFECTS[first], DEFECTS[second]
        yield Case(both, refused, refused_repairing, tuple(repairs.split()))


PAIRS = (
    ("tilted gantry", "missing slice", Reason.TILTED, None, "tilt missing_slices"),
    ("growing spacing", "tilted gantry", Reason.TILTED, None, "tilt uneven_spacing"),
    ("tilted gantry", "one slice too high", Reason.UNEVEN_SLICES, Reason.UNEVEN_SLICES, ""),
    ("tilted gantry", "one image twice", Reason.DUPLICATE_SLICES, None,
     "identical_duplicates tilt"),
    ("tilted gantry", "padding below air", Reason.TILTED, None, "tilt padding"),
    ("tilted gantry", "prone patient", Reason.TILTED, None, "tilt"),
    ("tilted gantry", "enhanced ct", Reason.TILTED, None, "tilt"),
    ("thick slices", "tilted gantry", Reason.TILTED, Reason.TILTED, ""),
    ("tilted gantry", "two patients", Reason.MIXED_PATIENTS, Reason.MIXED_PATIENTS, ""),
    ("tilted gantry", "burned in annotation", Reason.BURNED_IN, Reason.BURNED_IN, ""),
    ("tilted gantry", "half the pixels", Reason.TILTED, Reason.UNREADABLE, ""),
    ("two phases", "enhanced ct", Reason.DUPLICATE_SLICES, None, "phases"),
    ("missing slice", "two phases", Reason.DUPLICATE_SLICES, None, "phases missing_slices"),
    ("missing slice", "rle", Reason.MISSING_SLICES, None, "missing_slices"),
    ("missing slice", "oblique slices", Reason.MISSING_SLICES, None, "missing_slices"),
    ("missing slice", "one image twice", Reason.DUPLICATE_SLICES, None,
     "identical_duplicates missing_slices"),
    ("few slices", "one image twice", Reason.DUPLICATE_SLICES, Reason.TOO_FEW_SLICES, ""),
    ("two spacings", "thirty two bits", Reason.UNEVEN_SLICES, None, "uneven_spacing"),
    ("two spacings", "padding above bone", Reason.UNEVEN_SLICES, None, "uneven_spacing padding"),
    ("intercept of each slice", "overlay in high bits", Reason.NOT_HOUNSFIELD,
     Reason.CONVERSION_MISMATCH, ""),
    ("coronal slices", "deflated", None, None, ""),
    ("signed values", "jpeg 2000", None, None, ""),
    ("head down patient", "shuffled instance numbers", None, None, ""),
    ("two phases", "two patients", Reason.MIXED_PATIENTS, Reason.MIXED_PATIENTS, ""),
)  # fmt: skip


def defects_page() -> str:
    """Return docs/defects.md."""
    every = [*cases()]
    lines = [
        "# Defects",
        "",
        "Written by `make docs` from `calcohort/phantom/defects/`; not edited by hand.",
        "",
        "What becomes of a scan with each of these defects: with every repair of `config.yaml` "
        "off, and with all of them on (at most two missing slices). Tests make every one of these "
        "scans, convert it both ways, and compare each voxel that comes out with the truth at its "
        "place; what repairs resample must be right to 1 HU, all else exactly.",
        "",
        f"{len(DEFECTS)} defects and {len(PAIRS)} pairs.",
    ]
    for module, title in MODULES.items():
        lines += ["", f"## {title}", "", "| defect | what it does | repairs off | repairs on |"]
        lines += ["|---|---|---|---|"]
        for case in every:
            (defect, *more) = case.defects
            if not more and defect.spoil.__module__ == module.__name__:
                lines.append(f"| {defect.name} | {defect.does} | {_outcomes(case)} |")
    lines += ["", "## Pairs", "", "| defects | repairs off | repairs on |", "|---|---|---|"]
    lines += [f"| {case.name} | {_outcomes(case)} |" for case in every if len(case.defects) > 1]
    return "\n".join(lines) + "\n"


def _outcomes(case: Case) -> str:
    off = f"`{case.refused}`" if case.refused else "convert"
    on = f"`{case.refused_repairing}`" if case.refused_repairing else "convert"
    if case.repairs:
        on = f"convert, repaired: {', '.join(f'`{name}`' for name in case.repairs)}"
    return f"{off} | {on}"
