"""Crop a scan around the root's box. In: ct.nii.gz, the batch's boxes. Out: crop, its records."""

from pathlib import Path

from calcohort import volume
from calcohort.localise import crop_start
from calcohort.logs import job_log
from calcohort.outcomes import read_record, run_stage, write_record


def crop_file(source: str, target: str, box: dict, shape_kji: list[int], pad_value_hu: int) -> dict:
    """Write the crop of `shape_kji` voxels centred on `box`, padded where the scan ends."""
    ct = volume.read(source)
    start = crop_start(box["box_start_kji"], box["box_stop_kji"], shape_kji)
    cut = volume.crop(ct, start, tuple(shape_kji), pad_value_hu)
    volume.write(target, cut)
    return {
        "crop_start_kji": start,
        "box_in_crop_kji": [
            [max(a - s, 0), min(b - s, n)]
            for a, b, s, n in zip(
                box["box_start_kji"], box["box_stop_kji"], start, shape_kji, strict=True
            )
        ],
        "crop_shape_kji": shape_kji,
        "pad_value_hu": pad_value_hu,
        "padded_voxels": cut.array.size - volume.voxels_inside(start, shape_kji, ct.grid.shape),
    }


if __name__ == "__main__":
    source, output = snakemake.input, snakemake.output
    with job_log(snakemake.log[0]):
        scan_id = snakemake.wildcards.scan_id
        box = read_record(Path(source.localised, f"{scan_id}.json"))
        write_record(output.box, box)
        run_stage(
            "crop",
            scan_id,
            lambda: crop_file(source.ct, output.ct, box, **snakemake.params.settings),
            record=output.record,
            upstream=[output.box],
            images=[output.ct],
        )
