"""The series of a scan, wherever the sheet says that it is."""

from pathlib import Path

from calcohort.dicom.archive import is_archive, unpack
from calcohort.dicom.choose import Choice, choose_series
from calcohort.dicom.find import Found, find_series
from calcohort.dicom.listing import SUFFIX, gather, listed_series, read_listing
from calcohort.dicom.rule import Rule


def chosen_series(
    source: Path,
    workspace: Path,
    *,
    series_uid: str | None,
    rule: Rule,
    key: bytes,
    max_bytes: float,
) -> tuple[Found, Choice]:
    """Find the DICOM of a scan and take one series.

    Parameters
    ----------
    source : Path
        Folder, DICOMDIR, archive, DICOM file, or list of the index.
    workspace : Path
        Where archives are unpacked; to be kept until the files are read, and then removed.
    series_uid, rule, key
        As of `choose_series`; the series of a list has been chosen already.
    max_bytes : float
        The most that is unpacked.

    Returns
    -------
    found : Found
        All that there is.
    choice : Choice
        What is taken of it.

    Raises
    ------
    Excluded
        As `unpack`, `find_series`, `choose_series`, `gather` and `listed_series` do.
    UserError
        When the list is not one.
    """
    if source.name.endswith(SUFFIX):
        listing = read_listing(source)
        found = find_series(gather(listing, workspace, max_bytes))
        return found, listed_series(found, listing, key)
    packed = source.is_file() and is_archive(source.name)
    found = find_series(unpack(source, workspace / "unpacked", max_bytes) if packed else source)
    return found, choose_series(found, series_uid, rule, key)
