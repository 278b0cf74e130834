"""Convert a batch. In: DICOM or NIfTI of the sheet. Out: each scan's ct.nii.gz, series.json."""

from pathlib import Path

from calcohort.at_work import AtWork
from calcohort.dicom.convert import Limits, Repairs, convert_scan
from calcohort.dicom.rule import Rule
from calcohort.keys import study_key
from calcohort.logs import job_log
from calcohort.pool import run_scans
from calcohort.private import make_private
from calcohort.seal import write_seal

if __name__ == "__main__":
    params, seal = snakemake.params, snakemake.output[0]
    private = snakemake.config["private"]
    with job_log(snakemake.log[0], private):
        key = study_key(snakemake.config)
        work = make_private(Path(private, "work"))
        rule = Rule.of(params.choose)
        limits, repairs = Limits(**params.limits), Repairs(**params.repairs)

        def convert(scan_id, run):
            """One scan."""
            folder = Path(params.scans, scan_id)
            row = params.rows[scan_id]
            return run(
                "convert",
                scan_id,
                lambda: convert_scan(
                    Path(row["dicom"]),
                    folder / "ct.nii.gz",
                    series_uid=row["series_uid"],
                    limits=limits,
                    key=key,
                    rule=rule,
                    repairs=repairs,
                    dates=params.dates,
                    work=work / scan_id,
                ),
                record=folder / "series.json",
                images=[folder / "ct.nii.gz"],
            )

        done = run_scans(params.rows, convert, marks=AtWork(seal), workers=snakemake.threads)
        write_seal(seal, done)
