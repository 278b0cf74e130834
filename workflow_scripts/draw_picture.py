"""Draw the QC pictures of a batch, excluded or not. In: images, masks, records. Out: qc.png."""

from pathlib import Path

from calcohort import volume
from calcohort.at_work import AtWork
from calcohort.logs import job_log
from calcohort.outcomes import read_record
from calcohort.pool import run_scans
from calcohort.report.picture import draw_qc
from calcohort.seal import write_seal

IMAGES = ("ct.nii.gz", "root_mask.nii.gz", "calcium_mask.nii.gz")


def draw_files(folder: Path, target: Path) -> dict:
    """Draw what there is: an image that a stage did not reach is an empty file."""
    ct, root, calcium = (
        volume.read(folder / name) if (folder / name).stat().st_size else None for name in IMAGES
    )
    masks = [None if mask is None else mask.array != 0 for mask in (root, calcium)]
    draw_qc(ct, *masks, read_record(folder / "calcium.json"), target)
    return {}


if __name__ == "__main__":
    params, seal = snakemake.params, snakemake.output[0]
    with job_log(snakemake.log[0]):

        def draw(scan_id, run):
            """One scan."""
            folder = Path(params.scans, scan_id)
            return run(
                "picture",
                scan_id,
                lambda: draw_files(folder, folder / "qc.png"),
                record=folder / "picture.json",
                images=[folder / "qc.png"],
            )

        done = run_scans(params.scan_ids, draw, marks=AtWork(seal), workers=snakemake.threads)
        write_seal(seal, done)
