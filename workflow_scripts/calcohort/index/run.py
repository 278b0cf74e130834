"""Index an archive: the whole of it, from the folders to the sheet and its tables."""

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from calcohort.dicom.rule import Rule
from calcohort.index.catalogue import Row, studies, summarise_dirty
from calcohort.index.publish import write_problems, write_series
from calcohort.index.scans import Scans
from calcohort.index.store import Store
from calcohort.index.update import Update
from calcohort.keys import fingerprint
from calcohort.outcomes import read_record, write_record
from calcohort.private import private_folder

NS_PER_MINUTE = 60 * 10**9


def index_archive(
    settings: Mapping[str, Any], key: bytes, processes: int, now_ns: int
) -> dict[str, Any]:
    """Bring index, sheet and `series.csv` up to date.

    Parameters
    ----------
    settings : mapping
        The study's settings, with `dicom_root`.
    key : bytes
        Key of the pseudonyms.
    processes : int
        Processes that read headers.
    now_ns : int
        The time, for `settle_minutes`.

    Returns
    -------
    dict
        Counts: what `index.json` tells, and of this pass `opened` and `new_scans`.

    Raises
    ------
    UserError
        For mistakes of the set-up: no folder, other choices than before, an open private folder.
    """
    private, cohort = private_folder(settings), Path(settings["results"], "cohort")
    of_key = fingerprint(key)[:16]
    choices = {"choose": settings["choose"], "studies": settings["studies"], "key": of_key}
    scans = Scans(private, choices, key)
    store = Store(private / "index.sqlite", of_key)
    roots = settings["dicom_root"]
    update = Update(store, key, processes)
    update.run([roots] if isinstance(roots, str) else roots)
    told = cohort / "index.json"
    same = not update.changed and told.is_file() and (cohort / "series.csv").is_file()
    if same and not store.dirty_series():
        before = read_record(told)
        if not before["waiting"] and before["scans"] == len(scans.rows):
            return before | {"opened": update.opened, "new_scans": 0}
    settled_before_ns = now_ns - settings["settle_minutes"] * NS_PER_MINUTE
    rule = Rule.of(settings["choose"])
    dirty = set(summarise_dirty(store, key))
    why_not = scans.decide(studies(store, rule), settings["studies"], settled_before_ns)
    rows = _rows(store, rule, scans, why_not, dirty)
    counts = write_series(cohort / "series.csv", rows, key)
    scans.write()
    problems = write_problems(
        private / "problems.tsv", chain(sorted(update.problems), store.problems())
    )
    record = {
        **store.counts(),
        **{name: counts[name] for name in ("series", "candidates")},
        "scans": len(scans.rows) + len(scans.added),
        "waiting": sum(why.startswith("waits") for why in why_not.values()),
        "problems": dict(sorted(problems.items())),
    }
    write_record(told, record)
    store.settled()
    store.db.commit()
    return record | {"opened": update.opened, "new_scans": len(scans.added)}


def _rows(
    store: Store, rule: Rule, scans: Scans, why_not: Mapping[str, str], dirty: set
) -> Iterator[Row]:
    """Every series with its scan; on the way the lists of new and changed scans are written."""
    for study in studies(store, rule):
        chosen = scans.assign(study, why_not)
        if chosen:
            facts = chosen.summary.facts
            if (facts.series, facts.kind) in dirty or not scans.has_list(chosen.scan_id):
                scans.write_list(store, study, chosen)
        yield from study.rows
