"""From images to series, from series to scans: the choice over a whole archive."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any

from calcohort.dicom.choose import rank_series, why_chosen
from calcohort.dicom.facts import Facts, Summary, describe, slice_spacing_mm
from calcohort.dicom.listing import Listing, Source
from calcohort.dicom.pseudonymise import keyed_hash
from calcohort.dicom.rule import Rule
from calcohort.index.read import facts_from
from calcohort.index.store import Store, Stored


@dataclass
class Row:
    """A series of the archive, as `series.csv` tells it."""

    summary: Summary
    copies: int
    places: str
    newest_ns: int
    why_not: str = ""
    rank: int | None = None
    scan_id: str | None = None

    @property
    def candidate(self) -> bool:
        """Whether it may be chosen."""
        return self.rank is not None


@dataclass
class Study:
    """The series of one study.

    Attributes
    ----------
    patient_hash : str or None
        Keyed hash of the Patient ID.
    time : str
        Study Date and Study Time, digits; "" where missing.
    rows : list of Row
        All its series.
    ranked : list of Row
        Its candidates, the best first.
    why : str
        Why the first is the best.
    """

    study: str
    patient_hash: str | None
    time: str
    rows: list[Row]
    ranked: list[Row] = field(default_factory=list)
    why: str = ""

    @property
    def newest_ns(self) -> int:
        """When the last file of the folders that hold it arrived."""
        return max(row.newest_ns for row in self.rows)


def unique(images: list[Stored]) -> list[Stored]:
    """Images without second copies: of files with one SOP Instance UID the first by path."""
    first = {image.instance or (image.container, image.name): image for image in reversed(images)}
    return [
        image for image in images if first[image.instance or (image.container, image.name)] is image
    ]


def summarise_dirty(store: Store, key: bytes) -> list[tuple[str, str]]:
    """Summarise again the series whose files have changed, and name them."""
    dirty = store.dirty_series()
    for series, kind in dirty:
        every = store.images(series, kind)
        if not every:
            store.drop_series(series, kind)
            continue
        images = unique(every)
        facts = images[0].facts
        people = {(i.facts.patient_hash, i.facts.name_hash, i.facts.study) for i in every}
        body = {
            "facts": asdict(facts),
            "images": sum(image.facts.frames for image in images),
            "slice_spacing_mm": slice_spacing_mm(facts.orientation, [i.position for i in images]),
            "copies": len(every) - len(images),
            "people": sorted(str(person) for person in people),
            "places": " and ".join(sorted({"archive" if i.archive else "folder" for i in images})),
            "newest_ns": max(image.newest_ns for image in every),
        }
        store.put_series(series, kind, keyed_hash(key, "study", facts.study) or "", body)
    return dirty


def studies(store: Store, rule: Rule) -> Iterator[Study]:
    """Yield every study with its series ranked by `rule`."""
    for _, found in groupby(store.series(), key=lambda pair: pair[0]):
        bodies = [body for _, body in found]
        rows = [_row(body) for body in bodies]
        first = rows[0].summary.facts
        time = min(row.summary.facts.study_time for row in rows)
        study = Study(first.study, first.patient_hash, time, rows)
        people = {person for body in bodies for person in body["people"]}
        for row in rows:
            row.why_not = _fault(row.summary.facts, people)
        _rank(study, rule)
        yield study


def _row(body: dict[str, Any]) -> Row:
    summary = Summary(facts_from(body["facts"]), body["images"], body["slice_spacing_mm"])
    return Row(summary, body["copies"], body["places"], body["newest_ns"])


def _fault(facts: Facts, people: set[str]) -> str:
    if not facts.study or not facts.series:
        return "no Study or Series Instance UID: name the folder in a sheet"
    return "the study names several patients, or some files name none" if len(people) > 1 else ""


def _rank(study: Study, rule: Rule) -> None:
    rows = {row.summary: row for row in study.rows if not row.why_not}
    ranked, why_not = rank_series(list(rows), rule)
    for summary, row in rows.items():
        row.why_not = why_not[summary]
    study.ranked = [rows[summary] for summary in ranked]
    for rank, row in enumerate(study.ranked, start=1):
        row.rank = rank
    study.why = why_chosen(ranked, rule) if ranked else ""


def scan_name(study: str, key: bytes) -> str:
    """Pseudonymous name of a study's scan: 64 bits of a keyed hash of its UID."""
    return f"s{keyed_hash(key, 'scan', study)[:16]}"


def listing_of(store: Store, study: Study, row: Row, key: bytes) -> Listing:
    """List the files of a series; damaged files that may be its own go with it."""
    facts = row.summary.facts
    images = unique(store.images(facts.series, facts.kind))
    return Listing(
        series_hash=keyed_hash(key, "series", facts.series),
        kind=facts.kind,
        why=study.why,
        candidates=[
            describe(other.summary, key) | {"why_not_chosen": other.why_not} for other in study.rows
        ],
        sources=sources_of(store, images),
    )


def sources_of(store: Store, images: list[Stored]) -> list[Source]:
    """Group images by the folder or archive that holds them."""
    archives = {image.container: image.archive for image in images}
    files = [(image.container, image.name, image.size, image.mtime_ns) for image in images]
    files += store.damaged_beside(archives)
    return [
        Source(path, archives[path], [(name, size, time) for _, name, size, time in group])
        for path, group in groupby(sorted(files), key=lambda file: file[0])
    ]
