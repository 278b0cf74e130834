"""How long a cohort takes on a cluster: its jobs simulated from measured costs.

With the `costs.json` of benchmarks/stage_costs.py: a table of larger cohorts on more GPUs.
With a run's results folder: that run simulated from its own records, beside what it took, to see
whether the simulation is to be believed. GPUs and CPU jobs are handed out first come, first served.
In the repository's root:

    PYTHONPATH=workflow_scripts .venv/bin/python benchmarks/capacity.py COSTS --gpu-scan-s 1
    PYTHONPATH=workflow_scripts .venv/bin/python benchmarks/capacity.py RESULTS --gpus 4
"""

import argparse
import heapq
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from calcohort.trace import START_UP, read_traces

JOBS = {  # a batch's jobs in order: kind of machine, and the rules that share the job
    "prepare": ("cpu", ("convert_batch", "downscale_batch")),
    "localise": ("gpu", ("localise_batch",)),
    "crop": ("cpu", ("crop_batch",)),
    "segment": ("gpu", ("segment_batch",)),
    "measure": ("cpu", ("place_root", "measure_calcium", "draw_picture", "compare_root")),
}
CORES_PER_JOB = 4
NETWORKS = {"localise", "segment"}


@dataclass(frozen=True)
class Costs:
    """What the jobs of a batch cost.

    Attributes
    ----------
    per_job_s : dict
        Seconds of a job whatever its scans: the queue, SLURM, Snakemake, a network's start-up.
    per_scan_s : dict
        Seconds for each scan of the batch.
    """

    per_job_s: Mapping[str, float]
    per_scan_s: Mapping[str, float]

    def job_s(self, job: str, scans: int) -> float:
        """Seconds of a job over a batch of so many scans."""
        return self.per_job_s[job] + scans * self.per_scan_s[job]


def read_costs(results: Path, overhead_s: float) -> Costs:
    """Read the costs of a run.

    Parameters
    ----------
    results : Path
        The run's folder.
    overhead_s : float
        Seconds that a job waits in the queue and that SLURM and Snakemake take.
    """
    sealed = (results / "batches").glob("*/convert.json")
    scans = {path.parent.name: len(json.loads(path.read_text())) for path in sealed}
    seconds: dict[str, float] = defaultdict(float)
    for job, (_, rules) in JOBS.items():
        for rule in rules:
            for path in (results / "logs/benchmarks" / rule).glob("*.tsv"):
                seconds[job] += pd.read_csv(path, sep="\t")["s"].iloc[-1]
    spans = read_traces(results / "logs/trace")
    started = {
        job: [s.seconds for s in spans if s.stage == job and s.scan_id == START_UP]
        for job in NETWORKS
    }
    for job in NETWORKS:
        seconds[job] -= sum(started[job])
    total = sum(scans.values())
    start_up_s = {job: sum(found) / len(found) for job, found in started.items()}
    return Costs(
        {job: overhead_s + start_up_s.get(job, 0.0) for job in JOBS},
        {job: seconds[job] / total for job in JOBS},
    )


def read_stage_costs(path: Path, overhead_s: float, gpu_scan_s: float, gpu_start_s: float) -> Costs:
    """Read `costs.json`; on the GPU the networks take the given seconds."""
    found = json.loads(path.read_text())
    per_job = {j: overhead_s + (gpu_start_s if j in NETWORKS else 0.0) for j in JOBS}
    per_scan = {
        job: gpu_scan_s if job in NETWORKS else found[job]["scan_s"] / CORES_PER_JOB for job in JOBS
    }
    return Costs(per_job, per_scan)


def took_s(results: Path) -> float:
    """Seconds of a run, from its start to its last scan."""
    ends = [path.stat().st_mtime for path in (results / "batches").glob("*/picture.json")]
    return max(ends) - (results / "batches.tsv").stat().st_mtime


def simulate(
    costs: Costs, scans: int, batch_size: int, machines: Mapping[str, int]
) -> tuple[float, dict[str, float]]:
    """Simulate the batches of a cohort, all of them waiting from the start.

    Parameters
    ----------
    costs : Costs
        Of the jobs.
    scans, batch_size : int
        Of the cohort.
    machines : mapping
        `gpu` and `cpu` to how many jobs of the kind run at a time.

    Returns
    -------
    seconds : float
        Until the last batch is through.
    busy : dict
        Share of the machines' time in which they worked, of each kind.
    """
    order = list(JOBS)
    sizes = [min(batch_size, scans - first) for first in range(0, scans, batch_size)]
    free = {kind: [0.0] * number for kind, number in machines.items()}
    worked = dict.fromkeys(machines, 0.0)
    ready = [(0.0, batch, 0) for batch in range(len(sizes))]
    end_s = 0.0
    while ready:
        at_s, batch, step = heapq.heappop(ready)
        kind, _ = JOBS[order[step]]
        spent_s = costs.job_s(order[step], sizes[batch])
        begin_s = max(at_s, heapq.heappop(free[kind]))
        heapq.heappush(free[kind], begin_s + spent_s)
        worked[kind] += spent_s
        end_s = max(end_s, begin_s + spent_s)
        if step + 1 < len(order):
            heapq.heappush(ready, (begin_s + spent_s, batch, step + 1))
    return end_s, {kind: worked[kind] / (end_s * number) for kind, number in machines.items()}


def table(costs: Costs, batch_size: int, cpus_per_gpu: int, scan_mb: float) -> pd.DataFrame:
    """Simulate 1,000 to 1,000,000 scans on 1, 8 and 64 GPUs."""
    rows = []
    for scans in (1_000, 10_000, 1_000_000):
        for gpus in (1, 8, 64):
            machines = {"gpu": gpus, "cpu": gpus * cpus_per_gpu}
            seconds, busy = simulate(costs, scans, batch_size, machines)
            rows.append(
                {
                    "scans": scans,
                    "gpus": gpus,
                    "cpu_jobs": machines["cpu"],
                    "hours": round(seconds / 3600, 2),
                    "slurm_jobs": -(-scans // batch_size) * len(JOBS) + 1,
                    "disk_gb": round(scans * scan_mb / 1000),
                    "gpu_busy": round(busy["gpu"], 2),
                    "cpu_busy": round(busy["cpu"], 2),
                    "limit": max(busy, key=busy.get),
                }
            )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("costs", type=Path, help="costs.json, or a run's results folder")
    parser.add_argument(
        "--overhead-s", type=float, default=60, help="queue, SLURM and start of a job"
    )
    parser.add_argument("--gpu-scan-s", type=float, default=1.0, help="of each network on the GPU")
    parser.add_argument("--gpu-start-s", type=float, default=30.0, help="start-up on the GPU")
    parser.add_argument("--gpus", type=int, default=4, help="of the run")
    parser.add_argument("--cpu-jobs", type=int, default=4, help="at a time: of the run, or a GPU")
    asked = parser.parse_args()
    if asked.costs.is_dir():
        costs = read_costs(asked.costs, asked.overhead_s)
        sealed = asked.costs.glob("batches/*/convert.json")
        sizes = [len(json.loads(path.read_text())) for path in sealed]
        machines = {"gpu": asked.gpus, "cpu": asked.cpu_jobs}
        seconds, _ = simulate(costs, sum(sizes), max(sizes), machines)
        print(f"simulated {seconds:.0f} s, took {took_s(asked.costs):.0f} s")
    else:
        costs = read_stage_costs(asked.costs, asked.overhead_s, asked.gpu_scan_s, asked.gpu_start_s)
        scan_mb = json.loads(asked.costs.read_text())["megabytes_a_scan"]
        print(table(costs, 64, asked.cpu_jobs, scan_mb).to_string(index=False))
