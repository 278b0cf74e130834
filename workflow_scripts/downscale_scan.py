"""Downscale a scan in-plane. In: ct.nii.gz, series.json. Out: ct_downscaled.nii.gz, its record."""

from calcohort import volume
from calcohort.logs import job_log
from calcohort.outcomes import run_stage


def downscale_file(source: str, target: str, factor_kji: list[int]) -> dict:
    """Write `source` averaged over blocks of `factor_kji` voxels to `target`."""
    ct = volume.read(source)
    volume.write(target, volume.downscale(ct, tuple(factor_kji)))
    return {"scan_shape_kji": ct.grid.shape, "scan_affine": ct.affine}


if __name__ == "__main__":
    source, output = snakemake.input, snakemake.output
    with job_log(snakemake.log[0]):
        run_stage(
            "downscale",
            snakemake.wildcards.scan_id,
            lambda: downscale_file(source.ct, output.ct, snakemake.params.factor_kji),
            record=output.record,
            upstream=[source.upstream],
            images=[output.ct],
        )
