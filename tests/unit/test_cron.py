"""One run at a time, also when the one before was killed."""

import fcntl
import os
import signal
import subprocess
import sys
import time

import pytest
from calcohort.cron import Busy, Run, write_status

HOLDER = """
import sys
sys.path.insert(0, {library!r})
from calcohort.cron import Run
run = Run({folder!r}, {folder!r} + "/logs")
with run.locked() as lock:
    run.snakemake([sys.executable, "-c", "import time; time.sleep(60)"], lock)
"""


def test_the_second_is_told_that_the_first_is_at_work(tmp_path):
    with Run(tmp_path, tmp_path / "logs").locked():
        with pytest.raises(Busy, match="another run is at work"):
            with Run(tmp_path, tmp_path / "logs").locked():
                pass
    with Run(tmp_path, tmp_path / "logs").locked():
        pass


def test_the_lock_lives_as_long_as_snakemake_even_when_the_wrapper_is_killed(tmp_path):
    library = next(p for p in sys.path if p.endswith("workflow_scripts"))
    code = HOLDER.format(library=library, folder=str(tmp_path))
    wrapper = subprocess.Popen([sys.executable, "-c", code])
    run = Run(tmp_path, tmp_path / "logs")
    while not run.marker.exists() or not children(wrapper.pid):
        time.sleep(0.05)
    (child,) = children(wrapper.pid)
    wrapper.send_signal(signal.SIGKILL)
    wrapper.wait()
    with pytest.raises(Busy):
        with run.locked():
            pass
    os.kill(child, signal.SIGKILL)
    wait_for_free(tmp_path / ".snakemake/cohort.lock")
    with run.locked():
        assert run.marker.exists()


def children(number):
    with open(f"/proc/{number}/task/{number}/children") as stream:
        return [int(word) for word in stream.read().split()]


def wait_for_free(path):
    with open(path) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


def test_a_marker_stays_only_when_snakemake_was_killed(tmp_path):
    run = Run(tmp_path, tmp_path / "logs")
    with run.locked() as lock:
        code, log = run.snakemake(
            [sys.executable, "-c", "print('told'); raise SystemExit(1)"], lock
        )
        assert (code, log.read_text()) == (1, "told\n")
        assert not run.marker.exists()
        kill = "import os; os.kill(os.getpid(), 9)"
        assert run.snakemake([sys.executable, "-c", kill], lock)[0] == -9
        assert run.marker.exists()


def test_without_a_marker_a_lock_of_snakemake_is_somebody_elses(tmp_path):
    told = tmp_path / "unlocked"
    assert Run(tmp_path, tmp_path / "logs").heal(["touch", str(told)]) == ""
    assert not told.exists()


def test_the_status_is_one_dated_line(tmp_path):
    line = write_status(tmp_path / "status.txt", "FAILED config:\n  k: 3")
    assert line.endswith("Z FAILED config: k: 3")
    assert (tmp_path / "status.txt").read_text() == line + "\n"
