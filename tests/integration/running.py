"""Running the workflow as a user does."""

import contextlib
import fcntl
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLES = ("scans.csv", "calcium.csv", "segmentation.csv", "agreement.csv", "laboratory.csv")


def start(config, *arguments):
    """Start `snakemake --cores 2` on a study's config, in a process group of its own."""
    command = [Path(sys.executable).parent / "snakemake", "--cores", 2]
    where = ["--snakefile", ROOT / "Snakefile", "--directory", ROOT, "--configfile", config]
    return subprocess.Popen(
        [*map(str, [*command, *arguments, *where])],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(config, *arguments):
    """Run to the end; return exit code and output."""
    process = start(config, *arguments)
    output, _ = process.communicate()
    return process.returncode, output


def tables_of(results):
    """Bytes of the cohort's tables."""
    return {name: (results / "cohort" / name).read_bytes() for name in TABLES}


@contextlib.contextmanager
def alone_with_the_wrapper():
    """Wait for other tests that run the cron wrapper: it refuses a second run in one checkout."""
    with Path(tempfile.gettempdir(), "calcohort-test-wrapper").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
