"""Bring the index up to date: read what is new or changed, forget what is gone."""

import logging
import os
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from calcohort.dicom.walk import Folder, walk
from calcohort.index.read import read_archive, read_files
from calcohort.index.store import Store
from calcohort.outcomes import UserError

log = logging.getLogger(__name__)

FILES_AT_ONCE = 250
TOLD_EVERY_S = 30
COMMIT_EVERY_S = 0.5


class Update:
    """One pass over an archive.

    Parameters
    ----------
    store : Store
        The index's memory.
    key : bytes
        Key of the patients' hashes.
    processes : int
        Processes that read headers.

    Attributes
    ----------
    opened : int
        Files and archives that were opened.
    changed : bool
        Whether anything differs from the last pass.
    problems : list of (str, str)
        Paths that were not opened or could not be read, and why.
    """

    def __init__(self, store: Store, key: bytes, processes: int) -> None:
        self.store = store
        self.key = key
        self.processes = processes
        self.opened = 0
        self.changed = False
        self.problems: list[tuple[str, str]] = []
        self.seen: set[int] = set()
        self.waiting: deque[tuple[Future, int, tuple | None]] = deque()
        self.told = self.committed = time.monotonic()

    def run(self, roots: list[str]) -> None:
        """Index the folders `roots`.

        Raises
        ------
        UserError
            When one of them does not exist, or is empty: an archive that is not mounted is not an
            archive whose scans are gone.
        """
        for root in roots:
            if not os.path.isdir(root) or not any(os.scandir(root)):
                raise UserError(
                    f"dicom_root: {root} does not exist or is empty; is the disk mounted?"
                )
        with _pool(self.processes) as self.pool:
            for folder in _each_once(roots):
                self.problems += folder.problems
                self._folder(folder)
                for name, state in sorted(folder.archives.items()):
                    self._archive(os.path.join(folder.path, name), *state, folder.newest_ns)
            while self.waiting:
                self._take()
        before = self.store.db.total_changes
        self.store.forget_containers_but(self.seen)
        self.changed |= self.store.db.total_changes != before
        self.store.db.commit()

    def _folder(self, folder: Folder) -> None:
        container, digest = self.store.container(folder.path, archive=False)
        self.seen.add(container)
        if folder.digest() == digest:
            return
        self.changed = True
        known = self.store.known_files(container)
        self.store.remove(container, known.keys() - folder.files.keys())
        todo = sorted(
            (name, *state) for name, state in folder.files.items() if known.get(name) != state
        )
        whole = (folder.digest(), folder.newest_ns)
        if not todo:
            self.store.seen_whole(container, *whole)
        for start in range(0, len(todo), FILES_AT_ONCE):
            part = todo[start : start + FILES_AT_ONCE]
            last = start + FILES_AT_ONCE >= len(todo)
            self._submit(
                len(part),
                container,
                whole if last else None,
                read_files,
                folder.path,
                part,
                self.key,
            )

    def _archive(self, path: str, size: int, mtime_ns: int, newest_ns: int) -> None:
        container, digest = self.store.container(path, archive=True)
        self.seen.add(container)
        now = f"{size} {mtime_ns}".encode()
        if now != digest:
            self.changed = True
            self.store.remove(container)
            self._submit(1, container, (now, newest_ns), read_archive, path, mtime_ns, self.key)

    def _submit(self, files: int, container: int, whole: tuple | None, *work) -> None:
        self.opened += files
        while len(self.waiting) >= 4 * self.processes:
            self._take()
        future = self.pool.submit(*work)
        self.waiting.append((future, container, whole))

    def _take(self) -> None:
        """Remember what the oldest waiting piece of work found."""
        future, container, whole = self.waiting.popleft()
        found = future.result()
        reads, problem = found if isinstance(found, tuple) else (found, "")
        self.store.add(container, reads)
        if whole:
            digest, newest_ns = whole
            again = self.store.has_unreadable(container) or problem.startswith("archive not")
            self.store.seen_whole(container, None if again else digest, newest_ns, problem)
        if time.monotonic() - self.committed > COMMIT_EVERY_S:
            self.store.db.commit()
            self.committed = time.monotonic()
        if time.monotonic() - self.told > TOLD_EVERY_S:
            self.told = time.monotonic()
            log.info("%d files opened, %d folders and archives seen", self.opened, len(self.seen))


def _pool(processes: int) -> Executor:
    """Workers that read headers; processes are started only when there is something to read."""
    if processes == 1:
        return ThreadPoolExecutor(1)
    return ProcessPoolExecutor(processes, get_context("spawn"))


def _each_once(roots: list[str]) -> Iterator[Folder]:
    """Walk the roots, without those that lie in another one."""
    paths = sorted({Path(root).resolve() for root in roots})
    for path in paths:
        if not any(other in path.parents for other in paths):
            yield from walk(str(path))
