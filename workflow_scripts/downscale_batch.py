"""Downscale a batch in-plane. In: each ct.nii.gz, series.json. Out: folder of images, records."""

from pathlib import Path

from calcohort import volume
from calcohort.at_work import AtWork
from calcohort.logs import job_log
from calcohort.pool import run_scans


def downscale_file(source: Path, target: Path, spacing_mm: list | None, factor_kji: list) -> dict:
    """Write `source`, on voxels of `spacing_mm` and averaged over blocks of them, to `target`."""
    ct = volume.read(source)
    even = volume.respace(ct, spacing_mm)
    volume.write(target, volume.downscale(even, tuple(factor_kji)))
    return {"scan_shape_kji": ct.grid.shape, "scan_affine": ct.affine}


if __name__ == "__main__":
    params, folder = snakemake.params, Path(snakemake.output[0])
    with job_log(snakemake.log[0]):

        def downscale(scan_id, run):
            """One scan."""
            scan, image = Path(params.scans, scan_id), folder / f"{scan_id}.nii.gz"
            return run(
                "downscale",
                scan_id,
                lambda: downscale_file(
                    scan / "ct.nii.gz", image, params.spacing_mm, params.factor_kji
                ),
                record=folder / f"{scan_id}.json",
                upstream=[scan / "series.json"],
                images=[image],
            )

        run_scans(params.scan_ids, downscale, marks=AtWork(folder), workers=snakemake.threads)
