"""Finished scans, so that the plan of a large cohort holds only those that are not.

A *unit* is what is finished together: a batch, or a scan that has its root mask. When a run ends,
each unit that the workflow engine found or made up to date is remembered with a fingerprint of all
that decides its results: settings, stage versions, scripts, its rows of the sheet, and the names,
sizes and times of the files it reads and writes. While the fingerprint holds, nothing of the unit
needs to be planned. When anything differs the unit is planned in full again.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from calcohort.outcomes import atomic_path
from calcohort.study import ROOT
from calcohort.versions import STAGE_VERSIONS

ANY_SCAN = r"[A-Za-z0-9][A-Za-z0-9_.]*(?:-[A-Za-z0-9_.]+)*"
NO_SCAN = r"(?!)"


class Finished:
    """The finished units of a study.

    Parameters
    ----------
    results : Path
        The study's folder; the memory is its `finished.json`.
    settings : mapping
        The study's settings.
    sheet : mapping
        `scan_id` to its row.
    batches : mapping
        Batch to its scans; every other scan is a unit of its own.

    Attributes
    ----------
    open_scans : list of str
        Scans that have to be planned: of units not remembered, or no longer as remembered.
    """

    def __init__(
        self,
        results: Path,
        settings: Mapping[str, Any],
        sheet: Mapping[str, Mapping[str, Any]],
        batches: Mapping[str, list[str]],
    ) -> None:
        self.results = Path(results)
        self.path = self.results / "finished.json"
        self.sheet = sheet
        in_batch = {scan_id for members in batches.values() for scan_id in members}
        alone = {scan_id: [scan_id] for scan_id in sheet if scan_id not in in_batch}
        self.batches = dict(batches)
        self.units = self.batches | alone
        networks = [settings[stage]["network"]["weights"] for stage in ("localise", "segment")]
        common = _digest([settings, STAGE_VERSIONS, list(map(_state, networks)), _code()])
        self.decided_by = {unit: self._inputs(common, unit) for unit in self.units}
        self.known: dict[str, list[str]] = {}
        if self.path.is_file():
            self.known = json.loads(self.path.read_text(encoding="utf-8"))
        self.open_units = {
            unit for unit in self.units if self.known.get(unit) != self._fingerprint(unit)
        }
        self.open_scans = [s for unit in self.open_units for s in self.units[unit]]

    def remember(self, planned: Iterable[str], unfinished: Iterable[str]) -> None:
        """Remember the units that a run leaves finished.

        What decides their results is as it was when this object was made, before the run: an input
        that changed meanwhile opens its unit again.

        Parameters
        ----------
        planned : iterable of str
            Scans whose every step was in the run's plan.
        unfinished : iterable of str
            Scans with a step that was to be done and was not.
        """
        done = set(planned).difference(unfinished)
        fingerprints = {
            unit: self._fingerprint(unit) if unit in self.open_units else self.known[unit]
            for unit, members in self.units.items()
            if unit not in self.open_units or done.issuperset(members)
        }
        with atomic_path(self.path) as temporary:
            temporary.write_text(json.dumps(fingerprints, indent=0) + "\n", encoding="utf-8")

    def _inputs(self, common: str, unit: str) -> str:
        rows = [self.sheet[scan_id] for scan_id in self.units[unit]]
        paths = [v for row in rows for v in row.values() if isinstance(v, str) and os.path.isabs(v)]
        return _digest([common, self.units[unit], rows, list(map(_state, paths))])

    def _fingerprint(self, unit: str) -> list[str]:
        folders = [self.results / "scans" / scan_id for scan_id in self.units[unit]]
        if unit in self.batches:
            batch = self.results / "batches" / unit
            folders += [batch / "localise", batch / "segment"]
        return [self.decided_by[unit], _digest([_listing(folder) for folder in folders])]


def pattern(open_scans: list[str], total: int) -> str:
    """Regular expression of the scans to plan, that of any scan when they are all `total`."""
    if len(open_scans) == total:
        return ANY_SCAN
    return "|".join(map(re.escape, sorted(open_scans, reverse=True))) or NO_SCAN


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _state(path: str) -> list[int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]


def _listing(folder: Path) -> list[list[Any]] | None:
    try:
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.stat()) for entry in entries]
    except FileNotFoundError:
        return None
    return sorted([name, state.st_size, state.st_mtime_ns] for name, state in found)


def _code() -> list[str]:
    files = sorted([*(ROOT / "rules").glob("*.smk"), *(ROOT / "workflow_scripts").glob("*.py")])
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
