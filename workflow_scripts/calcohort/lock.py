"""One run at a time in a results folder, without a lock that outlives its run."""

import fcntl
from pathlib import Path

from calcohort.outcomes import UserError

_held = []


def lock_results(results: Path) -> None:
    """Keep other runs away from a results folder until this process ends, however it ends.

    The kernel holds the lock (`flock` on ``results/.lock``) and drops it with the process, so that
    a run that was killed leaves none behind. Needs a file system with `flock`, as NFS has from
    version 3 on.

    Raises
    ------
    UserError
        When another run holds it.
    """
    path = Path(results, ".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise UserError(
            f"another run is at work in {results}; wait for it to end, or name another "
            "`results` folder"
        ) from None
    _held.append(file)
