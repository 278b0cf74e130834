"""Logs: of a job (file and terminal, mistakes as one sentence) and of a run (time left)."""

import contextlib
import logging
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from calcohort.outcomes import MACHINE_TROUBLE, UserError


@contextlib.contextmanager
def job_log(path: str | Path) -> Iterator[None]:
    """Log to `path` and stderr; end the process with one sentence for a foreseeable mistake.

    Raises
    ------
    SystemExit
        With status 1 after a `UserError`, no memory, or trouble of the machine such as a full
        disk; with status 143 after SIGTERM and 130 after Ctrl-C, so that what is open is closed.
    """
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        handlers=[logging.FileHandler(path, mode="w"), logging.StreamHandler(sys.stderr)],
        force=True,
    )
    log = logging.getLogger("calcohort")
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    except (UserError, MemoryError) as problem:
        log.error("%s", str(problem) or "out of memory")
        sys.exit(1)
    except OSError as problem:
        if problem.errno not in MACHINE_TROUBLE:
            log.exception("unforeseen error")
            raise
        log.error(
            "%s: %s. Free some space or memory and run again.", problem.filename, problem.strerror
        )
        sys.exit(1)
    except KeyboardInterrupt:
        log.error("stopped")
        sys.exit(128 + signal.SIGINT)
    except Exception:
        log.exception("unforeseen error")
        raise


class TimeLeft(logging.Handler):
    """Add the time left to the workflow engine's progress.

    It takes log records that carry `done` and `total` and assumes that the steps to come last as
    long, on average, as those of this run that are done.
    """

    def __init__(self) -> None:
        super().__init__()
        self.started = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        """Print how many steps are done and how long the others may take."""
        done, total = getattr(record, "done", None), getattr(record, "total", None)
        if not done or not total or done == total:
            return
        left_s = (time.monotonic() - self.started) / done * (total - done)
        left = f"{left_s / 60:.0f} min" if left_s >= 90 else f"{left_s:.0f} s"
        sys.stderr.write(f"Step {done} of {total} done, about {left} left\n")
