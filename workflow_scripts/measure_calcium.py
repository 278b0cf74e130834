"""Measure calcium in the root. In: ct.nii.gz, root_mask.nii.gz. Out: calcium mask and numbers."""

from calcohort import volume
from calcohort.logs import job_log
from calcohort.measure.measure import MeasureSettings, measure_calcium
from calcohort.outcomes import read_record, run_stage


def measure_files(source, mask_path: str, settings: dict) -> dict:
    """Measure the scan of the rule's input files and write its calcium mask."""
    ct = volume.read(source.ct)
    root = volume.read_mask(source.root, ct.grid)
    findings, calcium = measure_calcium(ct, root, settings=MeasureSettings(**settings))
    volume.write(mask_path, volume.Volume(calcium, ct.affine))
    return findings | {"root_source": read_record(source.upstream)["root_source"]}


if __name__ == "__main__":
    source, output = snakemake.input, snakemake.output
    with job_log(snakemake.log[0]):
        run_stage(
            "measure",
            snakemake.wildcards.scan_id,
            lambda: measure_files(source, output.mask, snakemake.params.settings),
            record=output.record,
            upstream=[source.upstream],
            images=[output.mask],
        )
