"""Logs: of a job (file and terminal, mistakes as one sentence) and of a run (time left).

No log in the results names a patient. A job that reads what the sheet names has a second log in
the study's private folder, for what a header, a path or a library may say.
"""

import contextlib
import logging
import re
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from calcohort.outcomes import MACHINE_TROUBLE, UserError
from calcohort.private import PrivateHandler, private_log
from calcohort.study import read_schema

FORMAT = "%(asctime)s %(levelname)s %(message)s"
LIBRARY = Path(__file__).parent
PARAMETERS = re.compile(r"(Params have changed since last execution):.*", re.DOTALL)


@contextlib.contextmanager
def job_log(path: str | Path, private: str | Path | None = None) -> Iterator[None]:
    """Log to `path` and stderr; end the process with one sentence for a foreseeable mistake.

    Parameters
    ----------
    path : path
        The log; made anew.
    private : path, optional
        The study's private folder, given by jobs that read what the sheet names. What libraries
        and unforeseen errors say goes there, to `logs/{rule}/{scan_id}.log`; `path` and stderr then
        tell only the error's type and its place in the code.

    Raises
    ------
    SystemExit
        With status 1 after any error, which the log has told; with status 143 after SIGTERM and
        130 after Ctrl-C, so that what is open is closed.
    """
    file = logging.FileHandler(path, "w", encoding="utf-8", errors="backslashreplace")
    handlers = [file, logging.StreamHandler(sys.stderr)]
    kept = None
    if private:
        for handler in handlers:
            handler.addFilter(_is_discreet)
            handler.setFormatter(_PlacesOnly(FORMAT))
        kept = Path(private, "logs", *_below_logs(Path(path)))
        handlers.append(PrivateHandler(kept))
        handlers[-1].addFilter(lambda record: record.exc_info or not _is_discreet(record))
    logging.basicConfig(level=logging.INFO, format=FORMAT, handlers=handlers, force=True)
    logging.captureWarnings(kept is not None)
    log = logging.getLogger("calcohort")
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    except (UserError, MemoryError) as problem:
        log.error("%s", str(problem) or "out of memory")
        sys.exit(1)
    except OSError as problem:
        if problem.errno not in MACHINE_TROUBLE:
            _unforeseen(log, kept)
        private_log.error("%s", problem.filename)
        what = "" if kept else f"{problem.filename}: "
        log.error("%s%s. Free some space or memory and run again.", what, problem.strerror)
        sys.exit(1)
    except KeyboardInterrupt:
        log.error("stopped")
        sys.exit(128 + signal.SIGINT)
    except Exception:
        _unforeseen(log, kept)
    finally:
        logging.captureWarnings(False)
        for handler in handlers:
            logging.getLogger().removeHandler(handler)
            handler.close()


def _below_logs(path: Path) -> tuple[str, ...]:
    parts = path.parts
    return parts[len(parts) - parts[::-1].index("logs") :]


def _unforeseen(log: logging.Logger, kept: Path | None) -> None:
    log.exception("unforeseen error%s", f"; what it says is in {kept}" if kept else "")
    sys.exit(1)


def _is_discreet(record: logging.LogRecord) -> bool:
    """Tell whether a record is a sentence of this library, which names nobody."""
    return record.name.split(".")[0] == "calcohort" and record.name != private_log.name


class _PlacesOnly(logging.Formatter):
    """Writes of an error its type and where it arose, not what it says."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record whose error another handler may have formatted in full."""
        text, record.exc_text = record.exc_text, None
        try:
            return super().format(record)
        finally:
            record.exc_text = text

    def formatException(self, ei: Any) -> str:
        """List files, lines and functions, and the error's type."""
        frames = traceback.extract_tb(ei[2])
        lines = [f"  {_in_library(f.filename)}, line {f.lineno}, in {f.name}" for f in frames]
        return "\n".join([*lines, ei[0].__name__])


def _in_library(filename: str) -> Path:
    path = Path(filename)
    return path.relative_to(LIBRARY.parent) if path.is_relative_to(LIBRARY) else Path(path.name)


@contextlib.contextmanager
def log_privately(path: Path) -> Iterator[None]:
    """Keep what is told in private, and what readers of headers warn of, to a private log.

    For commands and for the run itself, whose terminal may be kept as a log.
    """
    handler = PrivateHandler(path)
    handler.setFormatter(logging.Formatter(FORMAT))
    loggers = [logging.getLogger(name) for name in (private_log.name, "py.warnings", "pydicom")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        for logger in loggers:
            logger.removeHandler(handler)
            logger.propagate = True
        handler.close()


class Discreet(logging.Filter):
    """Put scan and column in the place of the sheet's paths in the workflow engine's records.

    Parameters
    ----------
    sheet : mapping
        `scan_id` to its row (`study.read_sheet`).
    """

    def __init__(self, sheet: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__()
        declared = read_schema("sheet")["properties"].items()
        columns = [column for column, given in declared if given.get("format") == "path"]
        self.labels = {
            row[column]: f"({column} of {scan_id})"
            for scan_id, row in sheet.items()
            for column in columns
            if row.get(column)
        }
        self.lengths = sorted({len(path) for path in self.labels}, reverse=True)

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record's texts and lists of texts; no record is left out."""
        for name, value in vars(record).items():
            if isinstance(value, str):
                setattr(record, name, self.cleaned(value))
            elif isinstance(value, list):
                cleaned = [self.cleaned(v) if isinstance(v, str) else v for v in value]
                if cleaned != list(value):  # the engine's own kinds of lists stay what they are
                    setattr(record, name, cleaned)
        return True

    def cleaned(self, text: str) -> str:
        """Return `text` with labels in the place of paths, the longest path first.

        Of changed parameters only that they changed is left: the old ones are of an older sheet.
        """
        text = PARAMETERS.sub(r"\1", text)
        start = text.find("/")
        while start >= 0:
            for length in self.lengths:
                label = self.labels.get(text[start : start + length])
                if label:
                    text = text[:start] + label + text[start + length :]
                    break
            start = text.find("/", start + 1)
        return text


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
