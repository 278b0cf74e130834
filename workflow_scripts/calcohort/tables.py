"""The cohort's tables, made from the scans' records and checked by their schemas."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from jsonschema import Draft202012Validator

from calcohort import __version__
from calcohort.applicability import Ranges, describe_records, judge_records
from calcohort.dicom.dates import capped_age
from calcohort.outcomes import EXCLUDED, FAILED, OK, Reason, atomic_path
from calcohort.reviews import OUTDATED, REJECTED, Review, fingerprint, is_outdated
from calcohort.study import read_schema, settings_hash
from calcohort.versions import STAGE_VERSIONS

Record = Mapping[str, Any]


def build_tables(
    sheet: Mapping[str, Record],
    *,
    series: Iterable[Record],
    measured: Iterable[Record],
    compared: Iterable[Record],
    settings: Mapping[str, Any],
    reviews: Mapping[str, Review] | None = None,
    ranges: Ranges | None = None,
) -> dict[str, pd.DataFrame]:
    """Gather the records of a cohort.

    A measured scan that a reviewer rejected is excluded at the stage `review`; `segmentation` keeps
    it, because it judges the masks and a reviewer would otherwise choose its scans. A review of
    another measurement than the present one is told as outdated and has no effect.

    Parameters
    ----------
    sheet : mapping
        `scan_id` to its row (`study.read_sheet`).
    series, measured, compared : iterables of records
        Of the stages convert, measure and compare; each names its scan.
    settings : mapping
        The study's settings.
    reviews : mapping
        `scan_id` to its review (`reviews.read_reviews`).
    ranges : mapping, optional
        What all networks were trained on (`applicability.shared_ranges`), where it is known.

    Returns
    -------
    dict
        The tables `scans`, `calcium`, `scores` and `segmentation`, in the sheet's order.

    Raises
    ------
    ValueError
        When a scan of the sheet has no record: no scan is ever left out.
    """
    series, measured, compared = (
        {record["scan_id"]: record for record in records}
        for records in (series, measured, compared)
    )
    if missing := [s for s in sheet if s not in series or s not in measured]:
        raise ValueError(f"no record of {', '.join(missing)}")
    reviews = {
        s: {**said, "verdict": OUTDATED} if is_outdated(said, fingerprint(measured[s])) else said
        for s, said in (reviews or {}).items()
        if s in sheet
    }
    reviewed = {s: _reviewed(measured[s], reviews.get(s)) for s in sheet}
    scans = [
        _scan(sheet[s], series[s], reviewed[s], reviews.get(s), ranges)
        | {"measurement": fingerprint(measured[s])}
        for s in sheet
    ]
    provenance = _provenance(settings)
    calcium = [
        row
        for s in sheet
        if reviewed[s]["status"] == OK
        for row in _calcium(measured[s], provenance)
    ]
    scores = [
        {"scan_id": s} | row
        for s in sheet
        if reviewed[s]["status"] == OK
        for row in measured[s].get("scores", [])
    ]
    segmentation = [_comparison(compared[s], measured[s]) for s in sheet if s in compared]
    rows = {"scans": scans, "calcium": calcium, "scores": scores, "segmentation": segmentation}
    return {name: _frame(name, values) for name, values in rows.items()}


def _reviewed(measured: Record, review: Review | None) -> Record:
    """Return the record of a scan after its review: no verdict makes an excluded scan measured."""
    if measured["status"] != OK or not review or review["verdict"] != REJECTED:
        return measured
    said = f": {review['comment']}" if review["comment"] else ", without a comment"
    return dict(measured) | {
        "status": EXCLUDED,
        "stage": "review",
        "reason": Reason.REJECTED_BY_REVIEWER.value,
        "detail": f"Rejected by {review['reviewer'] or 'an unnamed reviewer'}{said}",
    }


def _scan(
    row: Record,
    series: Record,
    measured: Record,
    review: Review | None,
    ranges: Ranges | None,
) -> Record:
    status = {OK: "measured", EXCLUDED: "excluded", FAILED: "failed"}[measured["status"]]
    found = {**series, **measured}
    spacing = found.get("pixel_spacing_mm")
    facts = {
        column: found.get(column)
        for column in read_schema("scans")["properties"]
        if not column.startswith("reference_")
    }
    facts |= {
        "status": status,
        "reason": measured["reason"] or None,
        "detail": measured["detail"] or None,
        "pixel_spacing_mm": spacing[0] if isinstance(spacing, list) else spacing,
        "field_of_view_mm": describe_records(series, measured)["field_of_view_mm"],
        "repairs": _named(found.get("repairs") or ()),
        "outside_training": judge_records(
            series, measured, None if row.get("root_mask") else ranges
        ),
    }
    not_kept = {"dicom", "series_uid", "root_mask", "reference_root_mask", "reference_calcium_mask"}
    study = {column: value for column, value in row.items() if column not in not_kept}
    if study.get("age") is not None:
        study["age"] = capped_age(study["age"])
    verdict = {"review": review["verdict"], "reviewer": review["reviewer"]} if review else {}
    return facts | study | verdict


def _named(repairs: Iterable[Record]) -> str | None:
    """Write repairs as ``tilt (degrees 18.5), padding (voxels 2040)``; None where none is."""
    texts = []
    for record in repairs:
        sizes = [f"{name} {value}" for name, value in record.items() if name != "repair"]
        texts.append(record["repair"] + (f" ({', '.join(sizes)})" if sizes else ""))
    return ", ".join(texts) or None


def _calcium(measured: Record, provenance: Record) -> list[Record]:
    shared = {key: measured[key] for key in ("luminance_hu", "root_volume_mm3", "root_source")}
    networks = {} if measured["root_source"] == "network" else dict.fromkeys(WEIGHTS)
    identity = {"scan_id": measured["scan_id"]}
    return [identity | rule | shared | provenance | networks for rule in measured["rules"]]


WEIGHTS = ("localise_sha256", "segment_sha256")


def _provenance(settings: Mapping[str, Any]) -> Record:
    return {
        **{name: settings[name.removesuffix("_sha256")]["network"]["sha256"] for name in WEIGHTS},
        "code_version": __version__,
        "measure_version": STAGE_VERSIONS["measure"],
        "config_hash": settings_hash(settings),
    }


def _comparison(compared: Record, measured: Record) -> Record:
    if compared["status"] != OK:
        return {key: compared[key] for key in ("scan_id", "status", "reason")}
    found = "dice" in compared
    status = {"status": "compared" if found else "no_root", "reason": measured["reason"] or None}
    volume = {"volume_in_found_root_mm3": _volume_of_mask_rule(measured)}
    return dict(compared) | status | volume


def _volume_of_mask_rule(measured: Record) -> float | None:
    if measured["status"] != OK:
        return None
    rule = measured["mask_rule"]
    return next(r["calcium_volume_mm3"] for r in measured["rules"] if r["rule"] == rule)


def _frame(name: str, rows: list[Record]) -> pd.DataFrame:
    declared = list(read_schema(name)["properties"])
    further = [] if name != "scans" else [c for row in rows for c in row if c not in declared]
    columns = declared + list(dict.fromkeys(further))
    return pd.DataFrame([{c: row.get(c) for c in columns} for row in rows], columns=columns)


def write_table(path: str | Path, name: str, table: pd.DataFrame) -> None:
    """Check a table against `schemas/{name}.schema.yaml` and write it as CSV, whole or not at all.

    Floats are written in their shortest exact form, so that equal numbers give equal bytes.

    Raises
    ------
    ValueError
        When the table breaks its schema: a fault of the program, not of the user.
    """
    schema = read_schema(name)
    validator = Draft202012Validator(schema)
    integers = {c for c, d in schema["properties"].items() if "integer" in str(d.get("type"))}
    rows = [
        {column: _plain(value, column in integers) for column, value in row.items()}
        for row in table.astype(object).to_dict("records")
    ]
    for row in rows:
        for error in validator.iter_errors(row):
            raise ValueError(
                f"{name}.csv, {row.get('scan_id')}: {list(error.path)}: {error.message}"
            )
    with atomic_path(Path(path)) as temporary:
        with temporary.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(table.columns), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table written by `write_table`; `scan_id` stays text, empty cells are NaN."""
    return pd.read_csv(path, dtype={"scan_id": str}, keep_default_na=False, na_values=[""])


def _plain(value: Any, integer: bool) -> Any:
    if value is None or value is pd.NA or value != value:
        return None
    value = value.item() if hasattr(value, "item") else value
    return int(value) if integer and isinstance(value, float) else value
