"""Measure calcium of a batch. In: each scan, its root. Out: calcium mask, root voxels, numbers."""

from pathlib import Path

from calcohort.at_work import AtWork
from calcohort.calcium import IMAGES, measure_scan
from calcohort.logs import job_log
from calcohort.measure.measure import MeasureSettings
from calcohort.measure.scores import Scoring
from calcohort.pool import run_scans
from calcohort.seal import write_seal

if __name__ == "__main__":
    params, seal = snakemake.params, snakemake.output[0]
    with job_log(snakemake.log[0]):
        settings, asked = MeasureSettings(**params.settings), params.scores
        scoring = (
            Scoring(asked["contrast"], asked["mass_calibration"]) if asked["passport"] else None
        )

        def measure(scan_id, run):
            """One scan."""
            folder = Path(params.scans, scan_id)
            return run(
                "measure",
                scan_id,
                lambda: measure_scan(folder, settings, scoring),
                record=folder / "calcium.json",
                upstream=[folder / "root.json"],
                images=[folder / name for name in IMAGES],
            )

        done = run_scans(params.scan_ids, measure, marks=AtWork(seal), workers=snakemake.threads)
        write_seal(seal, done)
