"""What a row of the sheet names, as files: a folder, an archive, a file, or a list of the index."""

from collections.abc import Iterator
from pathlib import Path

from pydicom.dataset import Dataset

from calcohort.dicom.archive import is_archive, members, unpack
from calcohort.dicom.damage import DAMAGED, raise_machine_trouble
from calcohort.dicom.header import read_header
from calcohort.dicom.listing import MOST_ARCHIVE_BYTES, SUFFIX, gather, read_listing


def files_of(source: Path, workspace: Path, max_bytes: float) -> Path | list[Path]:
    """Return what `find_series` searches: the source itself, or its files.

    Parameters
    ----------
    source : Path
        As the sheet names it.
    workspace : Path
        An existing folder, where members of archives are written.
    max_bytes : float
        The most that they may have together.

    Raises
    ------
    Excluded
        `unreadable` or `no_files`, for an archive or a list.
    """
    if source.name.endswith(SUFFIX):
        return gather(read_listing(source), workspace, max_bytes)
    if source.is_file() and is_archive(source.name):
        return unpack(source, workspace / "unpacked", max_bytes)
    return source


def headers_of(source: Path, keywords: tuple[str, ...]) -> Iterator[Dataset]:
    """Yield some elements of each image's header; what cannot be read is passed over.

    Nothing is unpacked: members of archives are read where they are.
    """
    if source.name.endswith(SUFFIX):
        for listed in read_listing(source).sources:
            names = {name for name, _, _ in listed.files}
            if listed.archive:
                yield from _of_archive(Path(listed.path), keywords, names)
            else:
                yield from _of_files([Path(listed.path, name) for name in names], keywords)
    elif source.is_file() and is_archive(source.name):
        yield from _of_archive(source, keywords, None)
    else:
        files = [source] if source.is_file() else sorted(source.rglob("*"))
        yield from _of_files([path for path in files if path.is_file()], keywords)


def _of_archive(
    archive: Path, keywords: tuple[str, ...], names: set[str] | None
) -> Iterator[Dataset]:
    for member in members(archive, MOST_ARCHIVE_BYTES):
        if names is None or member.name in names:
            yield from _header(member.stream, keywords)


def _of_files(files: list[Path], keywords: tuple[str, ...]) -> Iterator[Dataset]:
    for path in sorted(files):
        with path.open("rb") as stream:
            yield from _header(stream, keywords)


def _header(stream, keywords: tuple[str, ...]) -> Iterator[Dataset]:
    try:
        yield read_header(stream, keywords)
    except DAMAGED as error:
        raise_machine_trouble(error)
