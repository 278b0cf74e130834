"""Marks of the scans at work, so that a scan that ends its job again and again can be given up."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

MOST_DEATHS = 2


class AtWork:
    """The marks of one stage of one batch.

    A mark is an empty file that is there while a scan is at work. Any orderly end takes it away,
    an error or Ctrl-C too; a process that was killed leaves it. So a mark that is left is a
    *death*: out of memory, a crash in a decoder, a lost node.

    Parameters
    ----------
    output : Path
        The stage's output; the marks lie beside it, in ``{output}.at_work``.
    """

    def __init__(self, output: str | Path) -> None:
        self.folder = Path(f"{output}.at_work")

    def deaths(self, scan_id: str) -> int:
        """How many times the scan's process was killed, at most `MOST_DEATHS`."""
        return sum(self._mark(scan_id, number).exists() for number in range(MOST_DEATHS))

    def begin(self, scan_id: str) -> None:
        """Mark the scan; not to be called for one that died `MOST_DEATHS` times."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._mark(scan_id, self.deaths(scan_id)).touch()

    def finish(self, scan_id: str) -> None:
        """Forget the scan: it is done, and what died before it was not its work."""
        for number in range(MOST_DEATHS):
            self._mark(scan_id, number).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def stop(self, scan_id: str) -> None:
        """Take the last mark away: the work was stopped, by no fault of the scan."""
        self._mark(scan_id, self.deaths(scan_id) - 1).unlink(missing_ok=True)

    @contextlib.contextmanager
    def at_work(self, scan_id: str) -> Iterator[None]:
        """Mark the scan as long as the block runs."""
        self.begin(scan_id)
        try:
            yield
        except BaseException:
            self.stop(scan_id)
            raise
        self.finish(scan_id)

    def _mark(self, scan_id: str, number: int) -> Path:
        return self.folder / f"{number}-{scan_id}"


def forgive(batches: Path) -> None:
    """Give the scans that were given up their tries again; called once, as a run starts.

    Parameters
    ----------
    batches : Path
        `results/batches`.
    """
    for mark in Path(batches).glob(f"*/*.at_work/{MOST_DEATHS - 1}-*"):
        shutil.rmtree(mark.parent, ignore_errors=True)
