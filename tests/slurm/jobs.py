"""The jobs of the test cluster, as SLURM tells them."""

import os
import re
import signal
import subprocess

from cluster import ask, wait_until


def all_jobs() -> list[dict[str, str]]:
    """Every job since the cluster began, first to last; `step` is the rule or group it runs."""
    jobs = []
    for line in ask("scontrol", "show", "job", "--oneliner").splitlines():
        job = dict(part.split("=", 1) for part in line.split() if "=" in part)
        if "JobId" in job:
            job["step"] = re.search(r"slurm_logs/(?:group|rule)_([a-z]+)", job["StdOut"])[1]
            jobs.append(job)
    return sorted(jobs, key=lambda job: int(job["JobId"]))


def after(number: int) -> list[dict[str, str]]:
    """Jobs that were submitted after the job of this number."""
    return [job for job in all_jobs() if int(job["JobId"]) > number]


def last_number() -> int:
    """Number of the last job, 0 before the first."""
    return max((int(job["JobId"]) for job in all_jobs()), default=0)


def wait_for_running(step: str, number: int, wait_s: float = 600) -> dict[str, str]:
    """Wait until a job of `step`, submitted after the job of this number, runs."""
    found = []

    def runs() -> bool:
        found[:] = [j for j in after(number) if j["step"] == step and j["JobState"] == "RUNNING"]
        return bool(found)

    wait_until(runs, f"no job of {step} runs", wait_s)
    return found[0]


def wait_for_state(job: dict[str, str], state: str, wait_s: float = 200) -> None:
    """Wait until SLURM tells this state of a job."""
    wait_until(
        lambda: next(j for j in all_jobs() if j["JobId"] == job["JobId"])["JobState"] == state,
        f"job {job['JobId']} of {job['step']} is not {state}",
        wait_s,
    )


def hang(job: dict[str, str]) -> None:
    """Stop the processes of a running job for good, as a dead file system does."""

    def stopped() -> bool:
        listed = subprocess.run(
            ["scontrol", "listpids", job["JobId"], job["NodeList"]], capture_output=True, text=True
        ).stdout
        numbers = {int(line.split()[0]) for line in listed.splitlines()[1:]} - {-1}
        for number in numbers:
            os.kill(number, signal.SIGSTOP)
        return bool(numbers)

    wait_until(stopped, "the job has no processes")
