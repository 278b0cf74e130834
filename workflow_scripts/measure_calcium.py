"""Measure calcium of a batch. In: each scan, root mask. Out: calcium mask, root voxels, numbers."""

from pathlib import Path

import numpy as np
from calcohort import volume
from calcohort.at_work import AtWork
from calcohort.confidence import add_intervals
from calcohort.laboratory.voxels import take_voxels, write_voxels
from calcohort.logs import job_log
from calcohort.measure.measure import MeasureSettings, measure_calcium
from calcohort.outcomes import read_record
from calcohort.pool import run_scans
from calcohort.root import CERTAIN
from calcohort.seal import write_seal


def measure_files(folder: Path, settings: MeasureSettings) -> dict:
    """Measure the scan of a folder; write its calcium mask and root voxels."""
    ct = volume.read(folder / "ct.nii.gz")
    root = volume.read_mask(folder / "root_mask.nii.gz", ct.grid)
    findings, calcium = measure_calcium(ct, root, settings=settings)
    sure = volume.read(folder / "root_probability.nii.gz").array / np.float32(CERTAIN)
    add_intervals(ct, root, sure, findings, settings)
    volume.write(folder / "calcium_mask.nii.gz", volume.Volume(calcium, ct.affine))
    voxels = take_voxels(
        ct,
        root,
        luminance_hu=findings["luminance_hu"],
        luminance_sd_hu=findings["luminance_sd_hu"],
        connectivity=settings.connectivity,
        min_lesion_voxels=settings.min_lesion_voxels,
    )
    write_voxels(folder / "root_voxels.npz", voxels)
    placed = read_record(folder / "root.json")
    return findings | {key: placed.get(key) for key in ("root_source", "root_expected_dice")}


if __name__ == "__main__":
    params, seal = snakemake.params, snakemake.output[0]
    with job_log(snakemake.log[0]):
        settings = MeasureSettings(**params.settings)

        def measure(scan_id, run):
            """One scan."""
            folder = Path(params.scans, scan_id)
            return run(
                "measure",
                scan_id,
                lambda: measure_files(folder, settings),
                record=folder / "calcium.json",
                upstream=[folder / "root.json"],
                images=[folder / "calcium_mask.nii.gz", folder / "root_voxels.npz"],
            )

        done = run_scans(params.scan_ids, measure, marks=AtWork(seal), workers=snakemake.threads)
        write_seal(seal, done)
