"""A batch without a network: scans beside one another, and none takes another along."""

import hashlib
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from calcohort import pool
from calcohort.at_work import AtWork, forgive
from calcohort.outcomes import Excluded, Reason, UserError, read_record
from calcohort.pool import run_scans

SCANS = ["a", "b", "c", "d"]


@pytest.fixture(autouse=True)
def not_on_slurm(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)


class Study:
    """A stage that writes a scan's name; `trouble` is what else happens at a scan."""

    def __init__(self, folder):
        self.folder = folder
        self.marks = AtWork(folder / "stage.json")
        self.trouble = {}

    def stage(self, scan_id, run):
        image = self.folder / f"{scan_id}.txt"

        def work():
            with (self.folder / f"{scan_id}.tries").open("a") as tries:
                tries.write("x")
            self.trouble.get(scan_id, lambda tries: None)(self.tries(scan_id))
            image.write_text(scan_id)
            return {"found": scan_id}

        return run("measure", scan_id, work, record=self.folder / f"{scan_id}.json", images=[image])

    def tries(self, scan_id):
        path = self.folder / f"{scan_id}.tries"
        return len(path.read_text()) if path.exists() else 0

    def run(self, workers=2):
        return run_scans(SCANS, self.stage, marks=self.marks, workers=workers)

    def statuses(self):
        return {s: read_record(self.folder / f"{s}.json")["status"] for s in SCANS}


@pytest.fixture
def study(tmp_path):
    return Study(tmp_path)


def kill_itself(_tries):
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_seal_holds_each_scans_record_and_the_hash_of_its_image(study):
    done = study.run()
    assert done.keys() == set(SCANS)
    assert done["b"]["record"] == read_record(study.folder / "b.json")
    assert done["b"]["record"]["found"] == "b"
    assert done["b"]["sha256"] == {"b.txt": hashlib.sha256(b"b").hexdigest()}
    assert not study.marks.folder.exists()


def test_scans_run_beside_one_another_but_no_more_than_workers(study):
    begun_ended = study.folder / "times"

    def sleep(_tries):
        with begun_ended.open("a") as out:
            out.write("+")
            out.flush()
            time.sleep(0.3)
            out.write("-")

    study.trouble = dict.fromkeys(SCANS, sleep)
    study.run(workers=2)
    depth, depths = 0, []
    for sign in begun_ended.read_text():
        depth += 1 if sign == "+" else -1
        depths.append(depth)
    assert max(depths) == 2


@pytest.mark.parametrize("how", [kill_itself, lambda _tries: (_ for _ in ()).throw(MemoryError())])
def test_a_scan_that_is_killed_twice_is_failed_and_the_others_are_done(study, how):
    study.trouble = {"b": how}
    done = study.run()
    assert study.statuses() == {"a": "ok", "b": "failed", "c": "ok", "d": "ok"}
    assert done["b"]["record"]["reason"] == "lost"
    assert (study.folder / "b.txt").stat().st_size == 0
    assert study.tries("b") == 2
    assert study.tries("a") == 1


def test_a_scan_that_is_killed_once_is_done_at_its_second_try(study):
    study.trouble = {"b": lambda tries: tries == 1 and kill_itself(tries)}
    study.run()
    assert set(study.statuses().values()) == {"ok"}
    assert not study.marks.folder.exists()


def test_on_slurm_the_next_try_of_the_job_has_more_memory_for_it(study, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    study.trouble = {"b": kill_itself}
    with pytest.raises(UserError, match="b was killed"):
        study.run()
    assert study.tries("b") == 1
    study.run()
    assert study.tries("b") == 2
    assert study.statuses()["b"] == "failed"
    study.run()  # a job that SLURM calls out of memory although it ended well
    assert study.tries("b") == 2
    assert study.statuses()["b"] == "failed"


def test_a_new_run_tries_again_what_was_given_up(study):
    study.folder = study.folder / "batches/batch-00001"
    study.folder.mkdir(parents=True)
    study.marks = AtWork(study.folder / "stage.json")
    study.trouble = {"b": lambda tries: tries <= 2 and kill_itself(tries)}
    study.run()
    assert study.statuses()["b"] == "failed"
    forgive(study.folder.parent)
    study.run()
    assert study.statuses()["b"] == "ok"


def test_trouble_of_the_machine_stops_the_batch_and_blames_no_scan(study):
    def full(_tries):
        raise OSError(28, "No space left on device")

    study.trouble = {"a": full}
    with pytest.raises(OSError, match="No space left"):
        study.run(workers=1)
    assert study.tries("c") == 0
    assert study.marks.deaths("a") == 0
    study.trouble = {}
    study.run()
    assert set(study.statuses().values()) == {"ok"}


def test_foreseeable_trouble_of_a_scan_is_its_outcome(study):
    def no_contrast(_tries):
        raise Excluded(Reason.NO_CONTRAST, "45 HU")

    study.trouble = {"c": no_contrast}
    assert study.run()["c"]["record"]["reason"] == "no_contrast"


def test_a_hung_scan_is_killed(study, monkeypatch):
    monkeypatch.setattr(pool, "LONGEST_S", 0.5)
    study.trouble = {"d": lambda _tries: time.sleep(60)}
    study.run()
    assert study.statuses()["d"] == "failed"


def run_in_process(study):
    process = multiprocessing.get_context("fork").Process(target=study.run)
    process.start()
    while not (study.folder / "d.json").exists():  # b is then the only one at work
        time.sleep(0.02)
    return process


def alive(number):
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def test_a_killed_job_takes_its_scans_along_and_the_next_one_tries_them_last(study):
    def hang_once(tries):
        if tries == 1:
            (study.folder / "pid").write_text(str(os.getpid()))
            time.sleep(60)

    study.trouble = {"b": hang_once}
    process = run_in_process(study)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    while alive(int((study.folder / "pid").read_text())):
        time.sleep(0.02)
    assert study.marks.deaths("b") == 1
    done = study.run()
    assert list(done).index("b") >= 2  # two at a time: the other one may be suspected too
    assert set(study.statuses().values()) == {"ok"}


def test_a_stopped_job_blames_no_scan(study):
    study.trouble = {"b": lambda _tries: time.sleep(60)}
    process = run_in_process(study)
    os.kill(process.pid, signal.SIGINT)
    process.join()
    assert study.marks.deaths("b") == 0
