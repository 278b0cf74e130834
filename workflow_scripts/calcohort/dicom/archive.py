"""Unpack a zip archive without trusting it."""

import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from calcohort.outcomes import Excluded, Reason
from calcohort.private import private_log

UNIX_MODE_SHIFT = 16


def unpack(archive: Path, folder: Path, max_bytes: float) -> None:
    """Unpack `archive` into `folder`.

    Raises
    ------
    Excluded
        `unreadable` when it is damaged or encrypted, holds links or paths that lead out of the
        folder, or would unpack to more than `max_bytes`.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            _check(members, max_bytes)
            opened.extractall(folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        private_log.warning("%s: %s", archive, error)
        raise Excluded(
            Reason.UNREADABLE, f"the zip archive is damaged ({type(error).__name__})"
        ) from error


def _check(members: list[zipfile.ZipInfo], max_bytes: float) -> None:
    size = sum(member.file_size for member in members)
    if size > max_bytes:
        raise Excluded(
            Reason.UNREADABLE,
            f"the zip archive would unpack to {size / 1e9:.1f} GB, above {max_bytes / 1e9:g} GB",
        )
    if any(member.flag_bits & 1 for member in members):
        raise Excluded(Reason.UNREADABLE, "the zip archive is encrypted")
    if any(_leads_out(member) for member in members):
        raise Excluded(
            Reason.UNREADABLE, "the zip archive holds links or paths that lead out of its folder"
        )


def _leads_out(member: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(member.filename.replace("\\", "/"))
    drive = path.parts[:1] and path.parts[0].endswith(":")
    link = stat.S_ISLNK(member.external_attr >> UNIX_MODE_SHIFT)
    return bool(path.is_absolute() or ".." in path.parts or drive or link)
