"""Folds by patient: no patient is learned from and judged by at once."""

import csv
import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from calcohort.outcomes import OK, UserError, atomic_path

MOST_PROBLEMS = 50


def split_by_patient(
    scans: Mapping[str, Mapping[str, Any]],
    samples: Mapping[str, Mapping[str, Any]],
    series: Mapping[str, Mapping[str, Any]],
    *,
    folds: int,
    depth: int,
    seed: int = 0,
) -> dict[str, int]:
    """Deal the scans into folds, or refuse the whole with all problems in one list.

    Parameters
    ----------
    scans : mapping
        `scan_id` to its row of the sheet. `patient` names the patient (where it is empty, the
        DICOM's patient, or else the scan itself); `fold` puts a scan into a fold of the site's own
        choice: for all scans or for none.
    samples, series : mapping
        `scan_id` to the records of `prepare_sample` and `convert_batch`.
    folds : int
        Number of folds.
    depth : int
        Of the network: no side of a sample may be shorter than 2**depth blocks.
    seed : int
        Of the dealing.

    Returns
    -------
    dict
        `scan_id` to its fold, 1 to `folds`, in the sheet's order.

    Raises
    ------
    UserError
        With every scan that cannot be learned from, every way in which a patient leaks, and every
        fold that would be empty, one a line.
    """
    if not scans:
        raise UserError("training: no scan of the sheet has a reference_root_mask to learn from")
    problems = _of_samples(samples, depth)
    patient_of = {
        scan_id: row.get("patient") or series[scan_id].get("patient_hash") or scan_id
        for scan_id, row in scans.items()
    }
    for marks, of_what in (
        (_column(series, "patient_hash"), "have the same DICOM patient"),
        (_column(samples, "ct_sha256"), "are the same image"),
    ):
        problems += [
            f"{' and '.join(members)} {of_what}, but the sheet names different patients: "
            "they would leak from one fold into another"
            for members in _groups(marks)
            if len({patient_of[scan_id] for scan_id in members}) > 1
        ]
    fold_of = _given(scans, problems) or _dealt(patient_of, folds, seed)
    for members in _groups(patient_of):
        if len({fold_of[scan_id] for scan_id in members}) > 1:
            problems.append(
                f"{' and '.join(members)} are one patient's, but in different folds of the sheet: "
                "the patient would leak"
            )
    empty = sorted(set(range(1, folds + 1)) - set(fold_of.values()))
    if empty:
        patients = len(set(patient_of.values()))
        problems.append(
            f"fold {', '.join(map(str, empty))} of {folds} is empty: {patients} patients; "
            "lower `training.folds` or add patients"
        )
    beyond = sorted({fold for fold in fold_of.values() if not 1 <= fold <= folds})
    if beyond:
        problems.append(f"the sheet names fold {beyond[0]}; `training.folds` is {folds}")
    if problems:
        more = len(problems) - MOST_PROBLEMS
        tail = [f"… and {more} more"] if more > 0 else []
        raise UserError("\n".join(["no training:", *problems[:MOST_PROBLEMS], *tail]))
    return fold_of


def _of_samples(samples: Mapping[str, Mapping[str, Any]], depth: int) -> list[str]:
    problems = []
    for scan_id, record in samples.items():
        if record["status"] != OK:
            problems.append(f"{scan_id}: {record['reason']}: {record['detail']}")
        elif min(record["shape_blocks_kji"]) < 2**depth:
            sides = " × ".join(map(str, record["shape_blocks_kji"]))
            problems.append(
                f"{scan_id}: {sides} blocks (k, j, i) are less than the network's step of "
                f"{2**depth}; lower its depth or block_kji, or leave the scan out"
            )
    return problems


def _given(scans: Mapping[str, Mapping[str, Any]], problems: list[str]) -> dict[str, int]:
    given = {scan_id: int(row["fold"]) for scan_id, row in scans.items() if row.get("fold")}
    if given and len(given) < len(scans):
        without = [scan_id for scan_id in scans if scan_id not in given]
        problems.append(f"the sheet names no fold for {', '.join(without)}, but for others")
        return {}
    return given


def _dealt(patient_of: Mapping[str, str], folds: int, seed: int) -> dict[str, int]:
    def chance(patient):
        return hashlib.sha256(f"{seed} {patient}".encode()).digest()

    order = sorted(set(patient_of.values()), key=chance)
    fold_of = {patient: place % folds + 1 for place, patient in enumerate(order)}
    return {scan_id: fold_of[patient] for scan_id, patient in patient_of.items()}


def _column(records: Mapping[str, Mapping[str, Any]], key: str) -> dict[str, str]:
    return {scan_id: record[key] for scan_id, record in records.items() if record.get(key)}


def _groups(mark_of: Mapping[str, Any]) -> list[Sequence[str]]:
    groups = defaultdict(list)
    for scan_id, mark in mark_of.items():
        groups[mark].append(scan_id)
    return [members for members in groups.values() if len(members) > 1]


def write_split(path: Path, fold_of: Mapping[str, int]) -> None:
    """Write the table `scan_id, fold`."""
    with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["scan_id", "fold"])
        writer.writerows(fold_of.items())


def read_split(path: Path) -> dict[str, int]:
    """Read what `write_split` wrote."""
    with Path(path).open(newline="") as file:
        return {row["scan_id"]: int(row["fold"]) for row in csv.DictReader(file)}
