"""Draw the scans of a batch, excluded or not. In: each scan's files. Out: qc.png, scan.html."""

from pathlib import Path

from calcohort import volume
from calcohort.applicability import tell_records
from calcohort.at_work import AtWork
from calcohort.laboratory.voxels import read_voxels
from calcohort.logs import job_log
from calcohort.outcomes import read_record
from calcohort.pool import run_scans
from calcohort.report.picture import draw_qc
from calcohort.report.scan_page import write_scan_page
from calcohort.seal import write_seal

IMAGES = ("ct.nii.gz", "root_mask.nii.gz", "calcium_mask.nii.gz")


def draw_files(
    folder: Path, picture: Path, page: Path | None, reference: dict, ranges: dict | None
) -> dict:
    """Draw what there is: an image that a stage did not reach is an empty file."""
    ct, root, calcium = (
        volume.read(folder / name) if (folder / name).stat().st_size else None for name in IMAGES
    )
    root, calcium = (None if mask is None else mask.array != 0 for mask in (root, calcium))
    record, voxels = read_record(folder / "calcium.json"), folder / "root_voxels.npz"
    draw_qc(ct, root, calcium, record, picture)
    if page:
        write_scan_page(
            page,
            record=record,
            ct=ct,
            root=root,
            voxels=read_voxels(voxels) if voxels.stat().st_size else None,
            reference=reference,
            picture=picture.name,
            outside=tell_records(read_record(folder / "series.json"), record, ranges),
        )
    return {}


if __name__ == "__main__":
    params, seal = snakemake.params, snakemake.output[0]
    with job_log(snakemake.log[0]):

        def draw(scan_id, run):
            """One scan."""
            folder = Path(params.scans, scan_id)
            picture, page = folder / "qc.png", folder / "scan.html" if params.pages else None
            return run(
                "picture",
                scan_id,
                lambda: draw_files(
                    folder,
                    picture,
                    page,
                    params.references[scan_id],
                    None if scan_id in params.given else params.ranges,
                ),
                record=folder / "picture.json",
                images=[picture, page] if page else [picture],
            )

        done = run_scans(params.references, draw, marks=AtWork(seal), workers=snakemake.threads)
        write_seal(seal, done)
