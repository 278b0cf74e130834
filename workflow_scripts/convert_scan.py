"""Convert a scan. In: DICOM or NIfTI of the sheet. Out: ct.nii.gz (HU), series.json."""

from pathlib import Path

from calcohort.dicom.convert import Limits, convert_scan
from calcohort.dicom.rule import Rule
from calcohort.logs import job_log
from calcohort.outcomes import run_stage
from calcohort.study import read_key

if __name__ == "__main__":
    params, output = snakemake.params, snakemake.output
    with job_log(snakemake.log[0]):
        key = read_key(snakemake.config["pseudonym_key_file"])
        run_stage(
            "convert",
            snakemake.wildcards.scan_id,
            lambda: convert_scan(
                Path(params.source),
                Path(output.ct),
                series_uid=params.series_uid,
                limits=Limits(**params.limits),
                key=key,
                rule=Rule.of(params.choose),
            ),
            record=output.record,
            images=[output.ct],
        )
