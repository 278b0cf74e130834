"""Draw the QC picture of a scan, excluded or not. In: image, masks, record. Out: qc.png."""

from pathlib import Path

from calcohort import volume
from calcohort.logs import job_log
from calcohort.outcomes import read_record, run_stage
from calcohort.report.picture import draw_qc


def draw_files(ct_path: str, root_path: str, calcium_path: str, record: dict, target: str) -> dict:
    """Draw what there is: an image that a stage did not reach is an empty file."""
    ct, root, calcium = (
        volume.read(path) if Path(path).stat().st_size else None
        for path in (ct_path, root_path, calcium_path)
    )
    masks = [None if mask is None else mask.array != 0 for mask in (root, calcium)]
    draw_qc(ct, *masks, record, Path(target))
    return {}


if __name__ == "__main__":
    source, output = snakemake.input, snakemake.output
    with job_log(snakemake.log[0]):
        record = read_record(source.measured)
        run_stage(
            "picture",
            snakemake.wildcards.scan_id,
            lambda: draw_files(source.ct, source.root, source.calcium, record, output.picture),
            record=output.record,
            images=[output.picture],
        )
