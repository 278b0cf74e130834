"""Read zip and tar archives without trusting them.

Members are handed on one at a time as streams, and written under names of our own: whatever an
archive calls them, nothing is written outside the folder that is given.
"""

import gzip
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from calcohort.outcomes import Excluded, Reason
from calcohort.private import private_log

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
UNIX_MODE_SHIFT = 16
PLENTY_BYTES = 1e8
MOST_RATIO = 200
"""CT compresses to a third, an empty image to a hundredth; a bomb to a thousandth."""
MOST_AT_ONCE = 16 * 1024**2
MOST_DIRECTORY_BYTES = 64 * 1024**2
"""Of a zip's table of contents: about half a million members."""
END_OF_ZIP, END_OF_ZIP_BYTES, MOST_COMMENT_BYTES = b"PK\x05\x06", 22, 65535
DAMAGE = (
    EOFError,
    NotImplementedError,
    RecursionError,
    ValueError,
    gzip.BadGzipFile,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class Member:
    """A file of an archive; its stream is to be read before the next member is asked for."""

    name: str
    size: int
    stream: BinaryIO

    @property
    def hidden(self) -> bool:
        """Whether it or a folder above it is hidden."""
        return any(part.startswith(".") for part in PurePosixPath(self.name).parts)


def is_archive(name: str) -> bool:
    """Tell by its name whether a file is an archive that can be read."""
    return name.lower().endswith(SUFFIXES)


def members(archive: Path, max_bytes: float) -> Iterator[Member]:
    """Yield the files of an archive.

    Parameters
    ----------
    archive : Path
        A `.zip`, `.tar`, `.tar.gz` or `.tgz`.
    max_bytes : float
        The most that all members may have together.

    Raises
    ------
    Excluded
        `unreadable` when it is damaged or encrypted, is compressed more than MOST_RATIO times,
        holds links or names that lead out of its folder, or more than `max_bytes`.
    """
    reader = _of_zip if archive.name.lower().endswith(".zip") else _of_tar
    try:
        yield from reader(archive, max_bytes)
    except DAMAGE as error:
        private_log.warning("%s: %s", archive, error)
        raise Excluded(
            Reason.UNREADABLE, f"the archive is damaged ({type(error).__name__})"
        ) from error


def unpack(
    archive: Path, folder: Path, max_bytes: float, wanted: Collection[str] | None = None
) -> list[Path]:
    """Write an archive's files into `folder`, under numbers in the order of their names.

    Parameters
    ----------
    archive, max_bytes
        As of `members`.
    folder : Path
        Made where it is missing.
    wanted : collection of str, optional
        Names of the members to write, else all that are not hidden.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    Excluded
        As `members` does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[str, Path] = {}
    for number, member in enumerate(members(archive, max_bytes)):
        if member.name in wanted if wanted is not None else not member.hidden:
            path = written[member.name] = folder / f"{number}.part"
            try:
                with path.open("wb") as out:
                    shutil.copyfileobj(member.stream, out, 1024**2)
            except DAMAGE as error:
                private_log.warning("%s, %s: %s", archive, member.name, error)
                raise Excluded(Reason.UNREADABLE, "a file of the archive is damaged") from error
    files = []
    for number, name in enumerate(sorted(written, key=lambda name: PurePosixPath(name).parts)):
        suffix = ".dcm" if name.lower().endswith((".dcm", ".ima")) else ""
        files.append(folder / f"{number:06d}{suffix}")
        os.replace(written[name], files[-1])
    return files


def _of_zip(archive: Path, max_bytes: float) -> Iterator[Member]:
    with archive.open("rb") as stream:
        _refuse_long_directory(stream)
    with zipfile.ZipFile(archive) as opened:
        entries = [entry for entry in opened.infolist() if not entry.is_dir()]
        size = sum(entry.file_size for entry in entries)
        _refuse_size(size, archive.stat().st_size, max_bytes)
        for entry in entries:
            if entry.flag_bits & 1:
                raise Excluded(Reason.UNREADABLE, "the zip archive is encrypted")
            link = stat.S_ISLNK(entry.external_attr >> UNIX_MODE_SHIFT)
            _refuse_way_out(entry.filename, link)
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise Excluded(Reason.UNREADABLE, "the zip archive is compressed in an unusual way")
        for entry in entries:
            with opened.open(entry) as stream:
                yield Member(entry.filename, entry.file_size, stream)


def _of_tar(archive: Path, max_bytes: float) -> Iterator[Member]:
    compressed = archive.name.lower().endswith("gz")
    with (gzip.open if compressed else open)(archive, "rb") as stream:
        guarded = _Guarded(stream, archive.stat().st_size, max_bytes)
        with tarfile.open(fileobj=guarded, mode="r:") as opened:
            while entry := opened.next():
                opened.members.clear()  # tarfile would keep every member
                _refuse_way_out(entry.name, entry.issym() or entry.islnk())
                if entry.isreg():
                    yield Member(entry.name, entry.size, opened.extractfile(entry))


class _Guarded:
    """A stream that refuses to be read in one huge piece, or too far."""

    def __init__(self, stream: BinaryIO, packed_bytes: int, max_bytes: float) -> None:
        self.stream = stream
        self.packed_bytes = packed_bytes
        self.max_bytes = max_bytes
        self.tell = stream.tell

    def read(self, size: int) -> bytes:
        if size > MOST_AT_ONCE:
            raise tarfile.ReadError("a header of impossible size")
        _refuse_size(self.stream.tell() + size, self.packed_bytes, self.max_bytes)
        return self.stream.read(size)

    def seek(self, position: int) -> int:
        _refuse_size(position, self.packed_bytes, self.max_bytes)
        return self.stream.seek(position)


def _refuse_size(size: int, packed_bytes: int, max_bytes: float) -> None:
    if size > max_bytes:
        raise Excluded(
            Reason.UNREADABLE,
            f"the archive would unpack to {size / 1e9:.1f} GB, above {max_bytes / 1e9:g} GB",
        )
    if size > PLENTY_BYTES and size > MOST_RATIO * packed_bytes:
        raise Excluded(Reason.UNREADABLE, f"the archive is compressed more than {MOST_RATIO} times")


def _refuse_way_out(name: str, link: bool) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    drive = path.parts[:1] and path.parts[0].endswith(":")
    if link or path.is_absolute() or ".." in path.parts or drive:
        raise Excluded(
            Reason.UNREADABLE, "the archive holds links or names that lead out of its folder"
        )


def _refuse_long_directory(stream: BinaryIO) -> None:
    """Refuse a table of contents that would fill the memory (APPNOTE 6.3.10, 4.3.14 and 4.3.16)."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - END_OF_ZIP_BYTES - MOST_COMMENT_BYTES))
    tail = stream.read()
    end = tail.rfind(END_OF_ZIP)
    if end < 0 or len(tail) - end < END_OF_ZIP_BYTES:
        raise zipfile.BadZipFile("no end of a zip")
    (length,) = struct.unpack_from("<I", tail, end + 12)
    if length == 0xFFFFFFFF:  # a zip of more than 4 GB says it in the record before
        length = struct.unpack_from("<Q", tail, tail.rfind(b"PK\x06\x06") + 40)[0]
    if length > MOST_DIRECTORY_BYTES:
        raise Excluded(Reason.UNREADABLE, "the zip archive has too many members")
