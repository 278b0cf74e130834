"""Prepare a training sample. In: ct.nii.gz, the sheet's mask. Out: image, label, record."""

from pathlib import Path

from calcohort.logs import job_log
from calcohort.outcomes import run_stage
from calcohort.training.sample import prepare_sample

if __name__ == "__main__":
    output, params = snakemake.output, snakemake.params
    network, scan_id = snakemake.wildcards.network, snakemake.wildcards.scan_id
    with job_log(snakemake.log[0], snakemake.config["private"]):
        run_stage(
            "prepare",
            scan_id,
            lambda: prepare_sample(
                Path(output.image).parents[1],
                network,
                scan_id,
                params.scan + "/ct.nii.gz",
                Path(params.mask),
                params.block_kji,
                params.cube,
                **params.view,
            ),
            record=output.record,
            upstream=[params.scan + "/series.json"],
            images=[output.image, output.label],
        )
