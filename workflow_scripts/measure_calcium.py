"""Measure calcium. In: ct.nii.gz, the root. Out: calcium mask, root voxels, numbers."""

import numpy as np
from calcohort import volume
from calcohort.confidence import add_intervals
from calcohort.laboratory.voxels import take_voxels, write_voxels
from calcohort.logs import job_log
from calcohort.measure.measure import MeasureSettings, measure_calcium
from calcohort.outcomes import read_record, run_stage
from calcohort.root import CERTAIN


def measure_files(source, output, settings: MeasureSettings) -> dict:
    """Measure the scan of the rule's input files; write its calcium mask and root voxels."""
    ct = volume.read(source.ct)
    root = volume.read_mask(source.root, ct.grid)
    findings, calcium = measure_calcium(ct, root, settings=settings)
    sure = volume.read(source.sure).array / np.float32(CERTAIN)
    add_intervals(ct, root, sure, findings, settings)
    volume.write(output.mask, volume.Volume(calcium, ct.affine))
    voxels = take_voxels(
        ct,
        root,
        luminance_hu=findings["luminance_hu"],
        luminance_sd_hu=findings["luminance_sd_hu"],
        connectivity=settings.connectivity,
        min_lesion_voxels=settings.min_lesion_voxels,
    )
    write_voxels(output.voxels, voxels)
    placed = read_record(source.upstream)
    return findings | {key: placed.get(key) for key in ("root_source", "root_expected_dice")}


if __name__ == "__main__":
    source, output = snakemake.input, snakemake.output
    with job_log(snakemake.log[0]):
        settings = MeasureSettings(**snakemake.params.settings)
        run_stage(
            "measure",
            snakemake.wildcards.scan_id,
            lambda: measure_files(source, output, settings),
            record=output.record,
            upstream=[source.upstream],
            images=[output.mask, output.voxels],
        )
