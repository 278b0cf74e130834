"""Draw a scan, excluded or not. In: image, masks, record, voxels. Out: qc.png, scan.html."""

from pathlib import Path

from calcohort import volume
from calcohort.laboratory.voxels import read_voxels
from calcohort.logs import job_log
from calcohort.outcomes import read_record, run_stage
from calcohort.report.picture import draw_qc
from calcohort.report.scan_page import write_scan_page


def draw_files(source, output, record: dict, reference: dict) -> dict:
    """Draw what there is: an image that a stage did not reach is an empty file."""
    ct, root, calcium = (
        volume.read(path) if Path(path).stat().st_size else None
        for path in (source.ct, source.root, source.calcium)
    )
    root, calcium = (None if mask is None else mask.array != 0 for mask in (root, calcium))
    draw_qc(ct, root, calcium, record, Path(output.picture))
    if "page" in output.keys():
        write_scan_page(
            Path(output.page),
            record=record,
            ct=ct,
            root=root,
            voxels=read_voxels(source.voxels) if Path(source.voxels).stat().st_size else None,
            reference=reference,
            picture=Path(output.picture).name,
        )
    return {}


if __name__ == "__main__":
    source, output = snakemake.input, snakemake.output
    with job_log(snakemake.log[0]):
        record = read_record(source.measured)
        run_stage(
            "picture",
            snakemake.wildcards.scan_id,
            lambda: draw_files(source, output, record, snakemake.params.reference),
            record=output.record,
            images=[path for path in output if path.endswith((".png", ".html"))],
        )
