"""Crop a batch around the roots' boxes. In: each ct.nii.gz, box. Out: folder of crops, records."""

from pathlib import Path

from calcohort import volume
from calcohort.at_work import AtWork
from calcohort.localise import crop_start
from calcohort.logs import job_log
from calcohort.outcomes import read_record, write_record
from calcohort.pool import run_scans
from calcohort.seal import write_seal


def crop_file(
    source: Path,
    target: Path,
    box: dict,
    spacing_mm: list | None,
    shape_kji: list[int],
    pad_value_hu: int,
) -> dict:
    """Crop around `box`: `shape_kji` voxels of `spacing_mm`, padded where the scan ends."""
    scan = volume.read(source)
    grid = scan.grid.respaced(spacing_mm) if spacing_mm else scan.grid
    ends = grid.cover(scan.grid, box["box_start_kji"], box["box_stop_kji"])
    start = crop_start(*ends, shape_kji)
    cut = volume.crop_on(scan, grid, start, tuple(shape_kji), pad_value_hu)
    volume.write(target, cut)
    return {
        "crop_start_kji": start,
        "box_in_crop_kji": [
            [max(int(a) - s, 0), min(int(b) - s, n)]
            for a, b, s, n in zip(*ends, start, shape_kji, strict=True)
        ],
        "crop_shape_kji": shape_kji,
        "pad_value_hu": pad_value_hu,
        "padded_voxels": cut.array.size - volume.voxels_inside(start, shape_kji, grid.shape),
    }


if __name__ == "__main__":
    source, output, params = snakemake.input, snakemake.output, snakemake.params
    with job_log(snakemake.log[0]):

        def crop(scan_id, run):
            """One scan."""
            folder, image = Path(params.scans, scan_id), Path(output.crops, f"{scan_id}.nii.gz")
            box = read_record(Path(source.localised, f"{scan_id}.json"))
            write_record(folder / "bounding_box.json", box)
            return run(
                "crop",
                scan_id,
                lambda: crop_file(
                    folder / "ct.nii.gz", image, box, params.spacing_mm, **params.settings
                ),
                record=folder / "crop.json",
                upstream=[folder / "bounding_box.json"],
                images=[image],
            )

        marks = AtWork(output.seal)
        done = run_scans(params.scan_ids, crop, marks=marks, workers=snakemake.threads)
        write_seal(output.seal, done)
