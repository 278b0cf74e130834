"""What may name a patient: a folder and files that only their owner can read, and a log of its own.

Results hold no identifier. What is needed to find a scan again, or to see what an odd header says,
goes to the folder that the config names under `private`.
"""

import contextlib
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from calcohort.outcomes import UserError

private_log = logging.getLogger("calcohort.private")
"""What it is told never reaches the results' logs (`logs.job_log`)."""

OWNER_ONLY = 0o600
OF_OTHERS = 0o077


def private_folder(settings: Mapping[str, Any]) -> Path:
    """Make a study's private folder, and refuse one that is another study's.

    Raises
    ------
    UserError
        When it lies inside the results, others can enter it, or it belongs to other results: logs
        and links name scans by their `scan_id`, which is unique in one study only.
    """
    results = Path(settings["results"]).resolve()
    folder = Path(settings["private"])
    if folder.resolve().is_relative_to(results):
        raise UserError(
            f"config: private: {folder} lies inside the results, which name nobody; choose a "
            "folder outside"
        )
    owner = make_private(folder) / "results.txt"
    if not owner.exists():
        with open_private(owner) as file:
            file.write(f"{results}\n")
    known = owner.read_text(encoding="utf-8").strip()
    if known != str(results):
        raise UserError(
            f"config: private: {folder} belongs to the study in {known}; name another folder, or "
            f"delete {owner} where that study has moved"
        )
    return folder


def make_private(folder: Path) -> Path:
    """Make a folder that only its owner can enter.

    Raises
    ------
    UserError
        When it exists and others can enter it.
    """
    folder = Path(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_private(folder)
    return folder


def check_private(path: Path) -> None:
    """Refuse a file or folder that others than its owner can read, write or enter.

    Raises
    ------
    UserError
        With the command that mends it.
    """
    mode = Path(path).stat().st_mode & 0o777
    if mode & OF_OTHERS:
        raise UserError(
            f"{path} can be used by others (mode {mode:04o}); make it yours alone: "
            f"chmod go-rwx '{path}'"
        )


@contextlib.contextmanager
def private_workspace(folder: Path) -> Iterator[Path]:
    """Yield an empty folder, of its owner alone; what a killed run left there is removed first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def open_private(path: Path, mode: str = "w", **options):
    """Open a file for writing that only its owner can read; its folder is made where missing."""
    make_private(Path(path).parent)

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, OWNER_ONLY)

    return open(path, mode, opener=opener, encoding="utf-8", errors="backslashreplace", **options)


class PrivateHandler(logging.FileHandler):
    """Log to a private file that is made with its first record; an older file is removed.

    Processes that are forked from this one append to the same file.
    """

    def __init__(self, path: Path) -> None:
        Path(path).unlink(missing_ok=True)
        super().__init__(path, mode="a", delay=True)

    def _open(self):
        return open_private(Path(self.baseFilename), self.mode)
