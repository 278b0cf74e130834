"""The log of a job: a file and the terminal, mistakes as one sentence."""

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

from calcohort.outcomes import MACHINE_TROUBLE, UserError


@contextlib.contextmanager
def job_log(path: str | Path) -> Iterator[None]:
    """Log to `path` and stderr; end the process with one sentence for a foreseeable mistake.

    Raises
    ------
    SystemExit
        With status 1 after a `UserError`, no memory, or trouble of the machine such as a full disk.
    """
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        handlers=[logging.FileHandler(path, mode="w"), logging.StreamHandler(sys.stderr)],
        force=True,
    )
    log = logging.getLogger("calcohort")
    try:
        yield
    except (UserError, MemoryError) as problem:
        log.error("%s", str(problem) or "out of memory")
        sys.exit(1)
    except OSError as problem:
        if problem.errno not in MACHINE_TROUBLE:
            log.exception("unforeseen error")
            raise
        log.error("%s: %s. Free some space or memory and run again.", problem.filename, problem.strerror)
        sys.exit(1)
    except Exception:
        log.exception("unforeseen error")
        raise
