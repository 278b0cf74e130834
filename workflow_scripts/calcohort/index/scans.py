"""Which studies become scans, for ever: the generated sheet and the lists of the scans' files."""

import csv
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from calcohort.dicom.listing import SUFFIX, read_listing, write_listing
from calcohort.dicom.pseudonymise import keyed_hash
from calcohort.index.catalogue import Row, Study, listing_of, scan_name
from calcohort.index.store import Store
from calcohort.outcomes import UserError, atomic_path, write_record

COLUMNS = ("scan_id", "dicom", "series_hash", "patient")


@dataclass(frozen=True)
class Turn:
    """A study that may become a scan: when it was, whether it may still be arriving."""

    study: str
    time: str
    settled: bool


class Scans:
    """The generated sheet, `scans.tsv`, and `lists/{scan_id}.files.json` beside it.

    Rows are only ever added: a scan keeps its name and its series. Columns that a user has added
    are kept.

    Parameters
    ----------
    folder : Path
        The private folder.
    choices : mapping
        What decided the scans: rule, studies, and the key's fingerprint.
    key : bytes
        Key of the pseudonyms.

    Raises
    ------
    UserError
        When scans have been taken up by other choices.
    """

    def __init__(self, folder: Path, choices: Mapping[str, Any], key: bytes) -> None:
        self.folder = folder
        self.key = key
        self.path = folder / "scans.tsv"
        self.columns, self.rows = list(COLUMNS), {}
        if self.path.is_file():
            with self.path.open(newline="", encoding="utf-8") as stream:
                reader = csv.DictReader(stream, delimiter="\t")
                self.columns = list(reader.fieldnames or COLUMNS)
                self.rows = {row["scan_id"]: row for row in reader}
        self.added: dict[str, dict[str, str]] = {}
        self._check_choices(choices)

    def _check_choices(self, choices: Mapping[str, Any]) -> None:
        path = self.folder / "choices.json"
        before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        if self.rows and before is not None and before != choices:
            changed = ", ".join(sorted(k for k in choices if before.get(k) != choices[k]))
            raise UserError(
                f"The {len(self.rows)} scans of {self.path} were chosen with another {changed}; a "
                "cohort is not mixed. Set it back, or choose all scans anew with another `private` "
                "and another `results` folder."
            )
        if before != choices:
            write_record(path, dict(choices), mode=0o600)

    def decide(self, studies: Iterable[Study], mode: str, settled_before_ns: int) -> dict[str, str]:
        """Say of every study that is no scan yet why it does not become one, "" if it does.

        Parameters
        ----------
        studies : iterable of Study
            All studies; those without a candidate are passed over.
        mode : str
            `each`, `first` or `last` of a patient's studies. A patient is known by Patient ID;
            a study without one stands alone.
        settled_before_ns : int
            Studies with newer files wait.
        """
        patients = defaultdict(list)
        for study in studies:
            if study.ranked:
                turn = Turn(study.study, study.time, study.newest_ns <= settled_before_ns)
                patients[study.patient_hash or study.study].append(turn)
        return {
            study: why
            for turns in patients.values()
            for study, why in self._decide_patient(turns, mode).items()
            if scan_name(study, self.key) not in self.rows
        }

    def _decide_patient(self, turns: list[Turn], mode: str) -> dict[str, str]:
        arriving = "waits: its files are newer than settle_minutes"
        if mode == "each":
            return {turn.study: "" if turn.settled else arriving for turn in turns}
        if any(scan_name(turn.study, self.key) in self.rows for turn in turns):
            return {turn.study: "the patient has a scan already" for turn in turns}
        if not all(turn.settled for turn in turns):
            return {turn.study: "waits: a study of the patient may be arriving" for turn in turns}
        if len(turns) > 1 and not all(turn.time for turn in turns):
            return {turn.study: f"studies: {mode} needs the date of each" for turn in turns}
        pick = min if mode == "first" else max
        chosen = pick(turns, key=lambda turn: (turn.time, turn.study))
        return {
            turn.study: "" if turn is chosen else f"not the {mode} study of the patient"
            for turn in turns
        }

    def assign(self, study: Study, why_not: Mapping[str, str]) -> Row | None:
        """Give a study's series their scan, or the reason why they have none.

        Returns
        -------
        Row or None
            The series that is measured.
        """
        scan_id = scan_name(study.study, self.key) if study.ranked else ""
        if scan_id in self.rows:
            wanted = self.rows[scan_id]["series_hash"]
            same = (row for row in study.ranked if self._hash(row) == wanted)
            chosen = next(same, None)
            for row in study.ranked[: study.ranked.index(chosen) if chosen else None]:
                row.why_not = "came when another series was already taken for the scan"
        elif study.ranked and not why_not[study.study]:
            chosen = study.ranked[0]
            self._add(scan_id, study, chosen)
        else:
            for row in study.ranked:
                row.why_not = why_not[study.study]
            return None
        if chosen:
            chosen.scan_id, chosen.why_not = scan_id, ""
        return chosen

    def _hash(self, row: Row) -> str | None:
        return keyed_hash(self.key, "series", row.summary.facts.series)

    def _add(self, scan_id: str, study: Study, row: Row) -> None:
        self.added[scan_id] = {
            "scan_id": scan_id,
            "dicom": f"lists/{scan_id}{SUFFIX}",
            "series_hash": self._hash(row) or "",
            "patient": study.patient_hash or "",
        }

    def write_list(self, store: Store, study: Study, row: Row) -> None:
        """Write the list of a scan's files, unless it is as it was, or all its files are gone.

        Why the series was chosen, and from which, stays as it was when that was done.
        """
        path = self.folder / "lists" / f"{row.scan_id}{SUFFIX}"
        now = listing_of(store, study, row, self.key)
        if path.is_file() and row.scan_id in self.rows:
            before = read_listing(path)
            now = replace(now, why=before.why, candidates=before.candidates)
            if _plain(now) == _plain(before):
                return
        write_listing(path, now)

    def has_list(self, scan_id: str) -> bool:
        """Tell whether the list of a scan is there."""
        return (self.folder / "lists" / f"{scan_id}{SUFFIX}").is_file()

    def write(self) -> None:
        """Add the new scans to the sheet; call when their lists are written."""
        if not self.added and self.path.is_file():
            return
        rows = [*self.rows.values(), *(self.added[s] for s in sorted(self.added))]
        with atomic_path(self.path) as temporary:
            os.close(os.open(temporary, os.O_CREAT | os.O_WRONLY, 0o600))
            with temporary.open("w", newline="", encoding="utf-8") as stream:
                writer = csv.DictWriter(
                    stream, self.columns, delimiter="\t", lineterminator="\n", restval=""
                )
                writer.writeheader()
                writer.writerows(rows)


def _plain(listing: Any) -> str:
    return json.dumps(listing, default=vars, sort_keys=True)
