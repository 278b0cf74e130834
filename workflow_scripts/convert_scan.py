"""Convert a scan. In: DICOM or NIfTI of the sheet. Out: ct.nii.gz (HU), series.json."""

from pathlib import Path

from calcohort.dicom.convert import Limits, convert_scan
from calcohort.keys import study_key
from calcohort.logs import job_log
from calcohort.outcomes import run_stage
from calcohort.private import make_private

if __name__ == "__main__":
    params, output = snakemake.params, snakemake.output
    private = snakemake.config["private"]
    with job_log(snakemake.log[0], private):
        key = study_key(snakemake.config)
        work = make_private(Path(private, "work")) / snakemake.wildcards.scan_id
        run_stage(
            "convert",
            snakemake.wildcards.scan_id,
            lambda: convert_scan(
                Path(params.source),
                Path(output.ct),
                series_uid=params.series_uid,
                limits=Limits(**params.limits),
                key=key,
                dates=params.dates,
                work=work,
            ),
            record=output.record,
            images=[output.ct],
        )
