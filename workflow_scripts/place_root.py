"""Put the root on the scan's own grid. In: U-Net2's probability or a given mask. Out: root mask."""

from pathlib import Path

from calcohort.logs import job_log
from calcohort.outcomes import run_stage
from calcohort.root import place_given, place_segmented

if __name__ == "__main__":
    source, output, params = snakemake.input, snakemake.output, snakemake.params
    scan_id = snakemake.wildcards.scan_id
    upstream = [source.upstream]
    if params.given:

        def place():
            """Take the sheet's mask."""
            return place_given(source.ct, Path(params.given), Path(output.mask))
    else:
        segmented = Path(source.segmented)
        upstream.append(segmented / f"{scan_id}.json")

        def place():
            """Take the plausible component of the network's probability."""
            return place_segmented(
                source.ct,
                segmented / f"{scan_id}.nii.gz",
                Path(source.upstream),
                Path(output.mask),
                min_volume_ml=params.min_volume_ml,
                max_volume_ml=params.max_volume_ml,
            )

    with job_log(snakemake.log[0], snakemake.config["private"]):
        run_stage(
            "root", scan_id, place, record=output.record, upstream=upstream, images=[output.mask]
        )
