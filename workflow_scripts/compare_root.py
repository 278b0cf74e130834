"""Compare a batch with its reference masks. In: masks, found and given. Out: comparison.json."""

from pathlib import Path

from calcohort.at_work import AtWork
from calcohort.compare import compare_scan
from calcohort.logs import job_log
from calcohort.measure.measure import MeasureSettings
from calcohort.pool import run_scans
from calcohort.seal import write_seal

if __name__ == "__main__":
    params, seal = snakemake.params, snakemake.output[0]
    with job_log(snakemake.log[0], snakemake.config["private"]):
        settings = MeasureSettings(**params.measure)

        def compare(scan_id, run):
            """One scan."""
            folder = Path(params.scans, scan_id)
            box = None if scan_id in params.given else folder / "bounding_box.json"
            return run(
                "compare",
                scan_id,
                lambda: compare_scan(
                    folder / "ct.nii.gz",
                    folder / "root_mask.nii.gz",
                    folder / "root.json",
                    folder / "calcium_mask.nii.gz",
                    folder / "calcium.json",
                    references=params.references[scan_id],
                    box_record=box,
                    settings=settings,
                ),
                record=folder / "comparison.json",
                upstream=[folder / "series.json"],
            )

        done = run_scans(params.references, compare, marks=AtWork(seal), workers=snakemake.threads)
        write_seal(seal, done)
