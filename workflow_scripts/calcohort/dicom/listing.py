"""The list of a scan's files: written by the index, read by the conversion.

A list names the files of one series, in folders or in archives, with their sizes and times, so that
it changes when they change, and only then. It holds paths, which may name a patient: it belongs
into the private folder.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from calcohort.dicom.archive import unpack
from calcohort.dicom.choose import Choice, refuse_nothing
from calcohort.dicom.find import Found
from calcohort.dicom.pseudonymise import keyed_hash
from calcohort.outcomes import Excluded, Reason, UserError, write_record

SUFFIX = ".files.json"
MOST_ARCHIVE_BYTES = 1e12
"""Of an archive of many studies, of which only the listed files are written."""


@dataclass(frozen=True)
class Source:
    """Files in one folder, or members of one archive: (name, size, mtime_ns)."""

    path: str
    archive: bool
    files: list[tuple[str, int, int]]


@dataclass(frozen=True)
class Listing:
    """The chosen series of a scan, its files, why it was chosen, and what else there was."""

    series_hash: str
    kind: str
    why: str
    candidates: list[dict]
    sources: list[Source]


def write_listing(path: Path, listing: Listing) -> None:
    """Write a list, whole or not at all, readable by its owner alone."""
    write_record(path, asdict(listing), mode=0o600)


def read_listing(path: Path) -> Listing:
    """Read a list.

    Raises
    ------
    UserError
        When it is not a list of the index.
    """
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        return Listing(**read | {"sources": [Source(**source) for source in read["sources"]]})
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{path.name} is not a list written by index_series.py; delete it and index again."
        ) from error


def gather(listing: Listing, workspace: Path, max_bytes: float) -> list[Path]:
    """Return the listed files; those of archives are unpacked into `workspace`.

    Raises
    ------
    Excluded
        `no_files` when one is missing, `unreadable` when an archive is.
    """
    files, left_bytes = [], max_bytes
    for number, source in enumerate(listing.sources):
        if source.archive:
            names = {name for name, _, _ in source.files}
            size = sum(size for _, size, _ in source.files)
            if size > left_bytes:
                raise Excluded(
                    Reason.UNREADABLE, f"the archive's files are above {max_bytes / 1e9:g} GB"
                )
            left_bytes -= size
            if Path(source.path).is_file():
                folder = workspace / f"unpacked-{number}"
                files += unpack(Path(source.path), folder, MOST_ARCHIVE_BYTES, names)
        else:
            paths = (Path(source.path, name) for name, _, _ in source.files)
            files += [path for path in paths if path.is_file()]
    total = sum(len(source.files) for source in listing.sources)
    if len(files) < total:
        raise Excluded(
            Reason.NO_FILES,
            f"{total - len(files)} of the {total} files that the index lists are missing",
        )
    return files


def listed_series(found: Found, listing: Listing, key: bytes) -> Choice:
    """Take the series that the index has chosen.

    Raises
    ------
    Excluded
        `series_not_found` when it is not among the listed files: the key is another, or the files
        are; `unreadable`, `no_files` when there are none.
    """
    refuse_nothing(found)
    kinds = (listing.kind, "axial") if listing.kind == "multi-frame" else (listing.kind,)
    named = [s for s in found.series if keyed_hash(key, "series", s.uid) == listing.series_hash]
    for series in named:
        if series.kind in kinds:
            return Choice(series, listing.why, listing.candidates)
    raise Excluded(
        Reason.SERIES_NOT_FOUND,
        "the series that the index has chosen is not in its files: index again, with the same key",
    )
