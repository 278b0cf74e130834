"""What the index remembers, in SQLite: files by container (a folder or an archive), and series.

Names are kept as bytes, as the disk has them. The facts of a series' images are nearly always the
same, so each distinct set is kept once and files refer to it. All changes of a run become
visible together with the note that their container was seen, so that a killed run is taken up where
it stopped.
"""

import functools
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from calcohort.dicom.facts import Facts
from calcohort.index.read import DAMAGED, OTHER, SAID, STATES, UNREADABLE, Read, facts_from

LAYOUT = 1
TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE containers (
    id INTEGER PRIMARY KEY, path BLOB UNIQUE, archive INTEGER, digest BLOB, newest_ns INTEGER,
    problem TEXT NOT NULL DEFAULT ''
);
CREATE TABLE facts (id INTEGER PRIMARY KEY, digest BLOB UNIQUE, series TEXT, kind TEXT, body TEXT);
CREATE INDEX facts_by_series ON facts (series, kind);
CREATE TABLE files (
    container INTEGER, name BLOB, size INTEGER, mtime_ns INTEGER, state INTEGER, facts INTEGER,
    x REAL, y REAL, z REAL, instance TEXT, PRIMARY KEY (container, name)
) WITHOUT ROWID;
CREATE INDEX files_by_facts ON files (facts);
CREATE TABLE dirty (series TEXT, kind TEXT, PRIMARY KEY (series, kind)) WITHOUT ROWID;
CREATE TABLE series (
    series TEXT, kind TEXT, study TEXT, body TEXT, PRIMARY KEY (series, kind)
) WITHOUT ROWID;
CREATE INDEX series_by_study ON series (study);
"""


@dataclass(frozen=True)
class Stored:
    """An image of a series: container, name, size in bytes, time in ns, position in mm, UID."""

    container: str
    archive: bool
    name: str
    size: int
    mtime_ns: int
    position: tuple[float, float, float] | None
    instance: str
    facts: Facts
    newest_ns: int


class Store:
    """The index's memory.

    Parameters
    ----------
    path : Path
        The database; made, readable by its owner alone, where it is missing.
    fingerprint : str
        Of the key. What was remembered under another, or in an older layout, is forgotten.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        made_by = f"{LAYOUT} {fingerprint}"
        self.db = self._open(path)
        if self._meta("made_by") != made_by:
            self.db.close()
            path.unlink()
            self.db = self._open(path)
            self.set_meta("made_by", made_by)
        self.facts_ids: dict[str, tuple[int, tuple[str, str]]] = {}

    def _open(self, path: Path) -> sqlite3.Connection:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        db = sqlite3.connect(path)
        db.execute("PRAGMA cache_size = -16000")  # KiB
        if not db.execute("SELECT name FROM sqlite_master WHERE name = 'meta'").fetchone():
            db.executescript(TABLES)
        self.db = db
        return db

    def _meta(self, name: str) -> str | None:
        row = self.db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return row and row[0]

    def set_meta(self, name: str, value: str) -> None:
        """Remember a value."""
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def container(self, path: str, archive: bool) -> tuple[int, bytes | None]:
        """Give a container's number, and its digest when it was last read whole."""
        name = os.fsencode(path)
        row = self.db.execute(
            "SELECT id, digest FROM containers WHERE path = ?", (name,)
        ).fetchone()
        if row:
            return row
        added = self.db.execute(
            "INSERT INTO containers (path, archive) VALUES (?, ?)", (name, archive)
        )
        return added.lastrowid, None

    def known_files(self, container: int) -> dict[str, tuple[int, int]]:
        """Size and time of the files of a container that need no second reading."""
        rows = self.db.execute(
            "SELECT name, size, mtime_ns FROM files WHERE container = ? AND state != ?",
            (container, UNREADABLE),
        )
        return {os.fsdecode(name): (size, mtime_ns) for name, size, mtime_ns in rows}

    def has_unreadable(self, container: int) -> bool:
        """Tell whether a file of a container could not be read."""
        found = self.db.execute(
            "SELECT 1 FROM files WHERE container = ? AND state = ? LIMIT 1", (container, UNREADABLE)
        )
        return found.fetchone() is not None

    def seen_whole(
        self, container: int, digest: bytes | None, newest_ns: int, problem: str = ""
    ) -> None:
        """Note that all of a container has been read; without a digest it is read again."""
        self.db.execute(
            "UPDATE containers SET digest = ?, newest_ns = ?, problem = ? WHERE id = ?",
            (digest, newest_ns, problem, container),
        )

    def add(self, container: int, reads: Iterable[Read]) -> None:
        """Remember what was found in files of a container, in the place of what was known."""
        reads = list(reads)
        self.remove(container, [read.name for read in reads])
        rows, touched = [], set()
        for read in reads:
            number = self._facts(read.facts, touched) if read.facts else None
            place = read.position or (None, None, None)
            name = os.fsencode(read.name)
            state = (read.size, read.mtime_ns, read.state)
            rows.append((container, name, *state, number, *place, read.instance))
        self.db.executemany("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self.db.executemany("INSERT OR IGNORE INTO dirty VALUES (?, ?)", touched)
        if any(read.state == DAMAGED for read in reads):
            self._touch(container)

    def _facts(self, body: str, touched: set[tuple[str, str]]) -> int:
        """Give the number of a set of facts; what is asked often comes from memory."""
        if body not in self.facts_ids:
            if len(self.facts_ids) > 10_000:
                self.facts_ids.clear()
            facts, digest = json.loads(body), sha256(body.encode()).digest()
            self.db.execute(
                "INSERT OR IGNORE INTO facts (digest, series, kind, body) VALUES (?, ?, ?, ?)",
                (digest, facts["series"], facts["kind"], body),
            )
            row = self.db.execute("SELECT id FROM facts WHERE digest = ?", (digest,)).fetchone()
            self.facts_ids[body] = row[0], (facts["series"], facts["kind"])
        number, series = self.facts_ids[body]
        touched.add(series)
        return number

    def remove(self, container: int, names: Iterable[str] | None = None) -> None:
        """Forget files of a container, all of them where no names are given."""
        if names is None:
            self._touch(container)
            self.db.execute("DELETE FROM files WHERE container = ?", (container,))
            return
        for name in names:
            key = (container, os.fsencode(name))
            row = self.db.execute(
                "DELETE FROM files WHERE container = ? AND name = ? RETURNING facts", key
            ).fetchone()
            if row and row[0]:
                self.db.execute(
                    "INSERT OR IGNORE INTO dirty SELECT series, kind FROM facts WHERE id = ?", row
                )

    def _touch(self, container: int) -> None:
        self.db.execute(
            "INSERT OR IGNORE INTO dirty SELECT DISTINCT series, kind FROM facts WHERE id IN "
            "(SELECT facts FROM files WHERE container = ?)",
            (container,),
        )

    def forget_containers_but(self, seen: set[int]) -> None:
        """Forget folders and archives that are no longer there."""
        for (number,) in self.db.execute("SELECT id FROM containers").fetchall():
            if number not in seen:
                self.remove(number)
                self.db.execute("DELETE FROM containers WHERE id = ?", (number,))

    def dirty_series(self) -> list[tuple[str, str]]:
        """Series (UID and kind) whose files have changed since they were summarised."""
        return self.db.execute("SELECT series, kind FROM dirty ORDER BY series, kind").fetchall()

    def images(self, series: str, kind: str) -> list[Stored]:
        """Images of a series, sorted by their path."""
        rows = self.db.execute(
            "SELECT c.path, c.archive, f.name, f.size, f.mtime_ns, f.x, f.y, f.z, f.instance, "
            "a.body, COALESCE(c.newest_ns, 0) FROM facts a JOIN files f ON f.facts = a.id "
            "JOIN containers c ON c.id = f.container WHERE a.series = ? AND a.kind = ?",
            (series, kind),
        )
        facts_of_body = functools.cache(facts_from)
        images = [
            Stored(
                os.fsdecode(path),
                bool(archive),
                os.fsdecode(name),
                size,
                mtime_ns,
                None if x is None else (x, y, z),
                instance,
                facts_of_body(body),
                newest_ns,
            )
            for path, archive, name, size, mtime_ns, x, y, z, instance, body, newest_ns in rows
        ]
        return sorted(images, key=lambda i: (i.archive, Path(i.container, i.name).parts))

    def damaged_beside(self, containers: Iterable[str]) -> list[tuple[str, str, int, int]]:
        """Damaged files of containers that hold one study only: path, name, size, time."""
        found = []
        for path in containers:
            row = self.db.execute(
                "SELECT id FROM containers WHERE path = ?", (os.fsencode(path),)
            ).fetchone()
            studies = self.db.execute(
                "SELECT COUNT(DISTINCT s.study) FROM series s JOIN facts a USING (series, kind) "
                "WHERE a.id IN (SELECT facts FROM files WHERE container = ?)",
                row,
            ).fetchone()[0]
            rows = self.db.execute(
                "SELECT name, size, mtime_ns FROM files WHERE container = ? AND state IN (?, ?) "
                "ORDER BY name",
                (*row, DAMAGED, UNREADABLE),
            )
            if studies <= 1:
                found += [(path, os.fsdecode(name), size, time) for name, size, time in rows]
        return found

    def put_series(self, series: str, kind: str, study: str, body: dict) -> None:
        """Remember the summary of a series."""
        row = (series, kind, study, json.dumps(body, sort_keys=True))
        self.db.execute("INSERT OR REPLACE INTO series VALUES (?, ?, ?, ?)", row)

    def drop_series(self, series: str, kind: str) -> None:
        """Forget a series without files."""
        self.db.execute("DELETE FROM series WHERE series = ? AND kind = ?", (series, kind))

    def series(self) -> Iterator[tuple[str, dict]]:
        """Every series' study (its pseudonym) and summary, those of one study together."""
        for study, body in self.db.execute(
            "SELECT study, body FROM series ORDER BY study, series, kind"
        ):
            yield study, json.loads(body)

    def settled(self) -> None:
        """Forget which series were dirty, and facts that no file has."""
        self.db.execute("DELETE FROM dirty")
        self.db.execute("DELETE FROM facts WHERE id NOT IN (SELECT facts FROM files WHERE facts)")
        self.facts_ids.clear()

    def counts(self) -> dict[str, int]:
        """Count files by state, folders and archives."""
        states = dict(self.db.execute("SELECT state, COUNT(*) FROM files GROUP BY state"))
        kinds = dict(self.db.execute("SELECT archive, COUNT(*) FROM containers GROUP BY archive"))
        return {"folders": kinds.get(0, 0), "archives": kinds.get(1, 0)} | {
            name: states.get(state, 0) for name, state in STATES.items()
        }

    def problems(self) -> Iterator[tuple[str, str]]:
        """Path and problem of archives that could not be read, of damaged and unreadable files."""
        for path, problem in self.db.execute(
            "SELECT path, problem FROM containers WHERE problem != '' ORDER BY path"
        ):
            yield os.fsdecode(path), problem
        for path, name, state in self.db.execute(
            "SELECT c.path, f.name, f.state FROM files f JOIN containers c ON c.id = f.container "
            "WHERE f.state > ? ORDER BY c.path, f.name",
            (OTHER,),
        ):
            yield os.path.join(os.fsdecode(path), os.fsdecode(name)), SAID[state]
