"""The applicability gate: what networks were trained on, as ranges, and which scans leave them.

A scan is described by its grid, its contrast and its noise (`QUANTITIES`), in the same way whether
a network learned from it or measures it. The range of a quantity goes from the 1st to the 99th
percentile of the training scans, each rounded outward to a scan: of up to 100 scans it holds all,
of more the rarest do not widen it. A scan outside is flagged and measured all the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from jsonschema import Draft202012Validator

from calcohort.outcomes import OK, UserError, atomic_path
from calcohort.study import read_schema

Description = Mapping[str, float | None]
Ranges = Mapping[str, Mapping[str, float]]
"""Name of a quantity to its `low` and `high`, and in a file to the `scans` that they are of."""

INSIDE = "no"
TAIL = 0.01
HEAD = "# What networks were trained on (docs/training.md), for `trained_on` in config.yaml.\n"


class Quantity(NamedTuple):
    """What a quantity is called, its unit, and the decimals to which it is compared."""

    label: str
    unit: str
    digits: int


QUANTITIES = {
    "slice_spacing_mm": Quantity("slice spacing", "mm", 3),
    "pixel_spacing_mm": Quantity("pixel spacing", "mm", 3),
    "field_of_view_mm": Quantity("field of view", "mm", 1),
    "coverage_mm": Quantity("length along the slices", "mm", 1),
    "luminance_hu": Quantity("contrast (Lm)", "HU", 1),
    "luminance_sd_hu": Quantity("noise (SD in the luminance cube)", "HU", 1),
}
"""The quantities by their column of scans.csv."""


def describe_grid(shape_kji: Sequence[int], spacing_mm: Sequence[float]) -> dict[str, float]:
    """Describe a scan's own grid, mm.

    Parameters
    ----------
    shape_kji : sequence of int
        Slices, rows, columns.
    spacing_mm : sequence of float
        Their distances.

    Returns
    -------
    dict
        `slice_spacing_mm`; `pixel_spacing_mm`, that of the rows; `field_of_view_mm`, the shorter
        side of a slice; `coverage_mm`, the length along the slices.
    """
    slices, rows, columns = shape_kji
    slice_mm, row_mm, column_mm = (float(side) for side in spacing_mm)
    return {
        "slice_spacing_mm": slice_mm,
        "pixel_spacing_mm": row_mm,
        "field_of_view_mm": min(rows * row_mm, columns * column_mm),
        "coverage_mm": slices * slice_mm,
    }


def describe_records(
    series: Mapping[str, Any], measured: Mapping[str, Any]
) -> dict[str, float | None]:
    """Describe a scan of a cohort by its records; None where it ended before a quantity was known.

    Parameters
    ----------
    series, measured : mapping
        Of the stages convert and measure.
    """
    described = dict.fromkeys(QUANTITIES)
    if series.get("columns"):
        shape_kji = [series[key] for key in ("slices", "rows", "columns")]
        spacing_mm = [series["slice_spacing_mm"], *series["pixel_spacing_mm"]]
        described |= describe_grid(shape_kji, spacing_mm)
    return described | {key: measured[key] for key in QUANTITIES if key in measured}


def find_ranges(described: Iterable[Description]) -> dict[str, dict[str, float]]:
    """Return the ranges of scans; a quantity that is known of none is left out.

    Returns
    -------
    dict
        Quantity to `low` and `high`, rounded to its decimals, and `scans`, the number of scans of
        which it is known.
    """
    described, ranges = list(described), {}
    for name, quantity in QUANTITIES.items():
        values = [scan[name] for scan in described if scan[name] is not None]
        if values:
            low = np.quantile(values, TAIL, method="lower")
            high = np.quantile(values, 1 - TAIL, method="higher")
            ends = {"low": float(low), "high": float(high)}
            ranges[name] = {end: round(value, quantity.digits) for end, value in ends.items()}
            ranges[name]["scans"] = len(values)
    return ranges


def judge_scan(described: Description, ranges: Ranges) -> str:
    """Return which ranges a scan leaves: ``slice_spacing_mm above 3, luminance_hu below 160.5``.

    `INSIDE` where it leaves none. A quantity is compared when both the scan and the ranges have it.
    """
    left = []
    for name, ends in ranges.items():
        value = described[name]
        if value is None:
            continue
        value = round(value, QUANTITIES[name].digits)
        if value < ends["low"]:
            left.append(f"{name} below {ends['low']:g}")
        elif value > ends["high"]:
            left.append(f"{name} above {ends['high']:g}")
    return ", ".join(left) or INSIDE


def judge_records(
    series: Mapping[str, Any], measured: Mapping[str, Any], ranges: Ranges | None
) -> str | None:
    """Judge a scan of a cohort by its records (`judge_scan`).

    None where there is nothing to judge: it is not known what the networks were trained on (no
    `ranges`), or none saw the scan because it was not converted.
    """
    if ranges is None or series["status"] != OK:
        return None
    return judge_scan(describe_records(series, measured), ranges)


def tell_left(outside: str, described: Mapping[str, Any]) -> str:
    """Tell in words what `judge_scan` found of a scan that is outside, with the scan's values."""
    told = []
    for part in outside.split(", "):
        name, side, end = part.split()
        quantity = QUANTITIES[name]
        value = f"{described[name]:.{quantity.digits}f}"
        told.append(f"{quantity.label} {value} {quantity.unit}, {side} {end} {quantity.unit}")
    return "; ".join(told)


def tell_records(
    series: Mapping[str, Any], measured: Mapping[str, Any], ranges: Ranges | None
) -> str:
    """Tell in words which ranges a scan of a cohort left; empty for none (`judge_records`)."""
    outside = judge_records(series, measured, ranges)
    if outside in (None, INSIDE):
        return ""
    return tell_left(outside, describe_records(series, measured))


def write_ranges(path: Path, scans: str, ranges: Ranges) -> None:
    """Write ranges as YAML, with the sentence that says of which `scans` they are."""
    text = yaml.safe_dump(
        {"scans": scans, "ranges": {name: dict(ends) for name, ends in ranges.items()}},
        sort_keys=False,
        default_flow_style=None,
        allow_unicode=True,
        width=100,
    )
    with atomic_path(path) as temporary:
        temporary.write_text(HEAD + text, encoding="utf-8")


def read_ranges(path: Path) -> dict[str, Any]:
    """Read what `write_ranges` wrote: `scans` and `ranges`.

    Raises
    ------
    UserError
        When the file is missing or is not one of ranges.
    """
    if not Path(path).is_file():
        raise UserError(
            f"trained_on: {path} does not exist; name the ranges that were written with the "
            "weights, or null where they are not known"
        )
    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"trained_on: {path} is not YAML; restore the file") from error
    for error in Draft202012Validator(read_schema("ranges")).iter_errors(found):
        place = ".".join(map(str, error.path)) or "top level"
        raise UserError(f"trained_on: {path}: {place}: {error.message}")
    for name, ends in found["ranges"].items():
        if ends["low"] > ends["high"]:
            raise UserError(f"trained_on: {path}: {name}: low is above high")
    return found


def shared_ranges(paths: Iterable[Path | None]) -> dict[str, dict[str, float]] | None:
    """Return what all networks were trained on; None where it is not known of one (None).

    Raises
    ------
    UserError
        As `read_ranges`.
    """
    paths = list(dict.fromkeys(paths))
    if None in paths:
        return None
    every = [read_ranges(path)["ranges"] for path in paths]
    return {
        name: {
            "low": max(ranges[name]["low"] for ranges in every),
            "high": min(ranges[name]["high"] for ranges in every),
        }
        for name in QUANTITIES
        if all(name in ranges for ranges in every)
    }


def ranges_table(ranges: Ranges) -> str:
    """Write the ranges as a Markdown table, for a model card."""
    rows = ["| | from | to | scans |", "|---|---:|---:|---:|"]
    rows += [
        f"| {QUANTITIES[name].label}, {QUANTITIES[name].unit} "
        f"| {ends['low']:g} | {ends['high']:g} | {ends['scans']} |"
        for name, ends in ranges.items()
    ]
    return "\n".join(rows)
