"""The jobs of the test cluster, as SLURM tells them."""

import os
import re
import signal
import subprocess
from pathlib import Path

from checkout import Site
from cluster import ask, wait_until


def jobs_of(site: Site) -> list[dict[str, str]]:
    """Every job of this checkout, first to last; `step` is the rule or group it runs."""
    jobs = []
    for line in ask("scontrol", "show", "job", "--oneliner").splitlines():
        job = dict(part.split("=", 1) for part in line.split() if "=" in part)
        if Path(job.get("StdOut", "")).is_relative_to(site.folder):
            job["step"] = re.search(r"slurm_logs/(?:group|rule)_([a-z]+)", job["StdOut"])[1]
            jobs.append(job)
    return sorted(jobs, key=lambda job: int(job["JobId"]))


def wait_for_running(site: Site, step: str, number: int = 0, wait_s: float = 600) -> dict[str, str]:
    """Wait until a job of `step`, submitted after the job of this number, runs."""
    found = []

    def runs() -> bool:
        found[:] = [
            job
            for job in jobs_of(site)
            if job["step"] == step and job["JobState"] == "RUNNING" and int(job["JobId"]) > number
        ]
        return bool(found)

    wait_until(runs, f"no job of {step} runs", wait_s)
    return found[0]


def state_of(job: dict[str, str]) -> str:
    """What SLURM tells of a job now."""
    return re.search(r"JobState=(\w+)", ask("scontrol", "show", "job", job["JobId"]))[1]


def wait_for_state(job: dict[str, str], state: str, wait_s: float = 200) -> None:
    """Wait until SLURM tells this state of a job."""
    message = f"job {job['JobId']} of {job['step']} is not {state}"
    wait_until(lambda: state_of(job) == state, message, wait_s)


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
