"""Walk folders: names, sizes and times of what is in them; no file is opened."""

import errno
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from calcohort.dicom.archive import SUFFIXES

UNREAD_ARCHIVES = (".7z", ".rar", ".bz2", ".xz", ".zst", ".iso")


@dataclass
class Folder:
    """A folder's own files.

    Attributes
    ----------
    path : str
        Absolute.
    files, archives : dict
        Name to size in bytes and time of change in ns.
    newest_ns : int
        When the last of its files arrived or changed (ctime), 0 without files.
    problems : list of (str, str)
        Path, and what is wrong with it or why it is not opened.
    readable : bool
        False when it cannot be listed.
    """

    path: str
    files: dict[str, tuple[int, int]] = field(default_factory=dict)
    archives: dict[str, tuple[int, int]] = field(default_factory=dict)
    newest_ns: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)
    readable: bool = True

    def digest(self) -> bytes:
        """Tell apart any two states of the folder's files."""
        return hashlib.sha256(repr(sorted(self.files.items())).encode()).digest()


def walk(root: str) -> Iterator[Folder]:
    """Yield `root` and each folder below it.

    Hidden files and folders are passed over. Links to folders are not followed, so that no loop can
    be walked; links to files are. What is neither file nor folder (a pipe, a device) is not opened.

    Parameters
    ----------
    root : str
        An absolute path.
    """
    waiting = [root]
    while waiting:
        folder = Folder(waiting.pop())
        below = []
        try:
            with os.scandir(folder.path) as entries:
                for entry in entries:
                    if not entry.name.startswith("."):
                        _sort_in(entry, folder, below)
        except OSError as error:
            folder.readable = False
            folder.problems.append((folder.path, f"folder not readable: {_said(error)}"))
        waiting += sorted(below, reverse=True)
        yield folder


def _sort_in(entry: os.DirEntry, folder: Folder, below: list[str]) -> None:
    """Note one entry of a folder."""
    try:
        if entry.is_dir(follow_symlinks=False):
            below.append(entry.path)
        elif entry.is_file():
            state = entry.stat()
            name, ending = entry.name, entry.name.lower()
            known = folder.archives if ending.endswith(SUFFIXES) else folder.files
            known[name] = (state.st_size, state.st_mtime_ns)
            if state.st_ctime_ns > folder.newest_ns:
                folder.newest_ns = state.st_ctime_ns
            if ending.endswith(UNREAD_ARCHIVES):
                folder.problems.append((entry.path, "an archive of a kind that is not opened"))
        elif entry.is_symlink():
            what = "link to a folder, not followed" if entry.is_dir() else "link to no file"
            folder.problems.append((entry.path, what))
        else:
            folder.problems.append((entry.path, "neither file nor folder, not opened"))
    except OSError as error:
        folder.problems.append((entry.path, f"not readable: {_said(error)}"))


def _said(error: OSError) -> str:
    return errno.errorcode.get(error.errno, "unknown error")
