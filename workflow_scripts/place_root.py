"""Put the roots of a batch on the scans' grids. In: U-Net2's probability or masks. Out: masks."""

from pathlib import Path

from calcohort.at_work import AtWork
from calcohort.logs import job_log
from calcohort.pool import run_scans
from calcohort.root import place_given, place_segmented
from calcohort.seal import write_seal

if __name__ == "__main__":
    source, params, seal = snakemake.input, snakemake.params, snakemake.output[0]
    limits = {
        name: getattr(params, name)
        for name in ("min_volume_ml", "max_volume_ml", "min_fraction_in_box")
    }
    with job_log(snakemake.log[0], snakemake.config["private"]):

        def place(scan_id, run):
            """One scan."""
            folder, given = Path(params.scans, scan_id), params.given[scan_id]
            ct, mask = folder / "ct.nii.gz", folder / "root_mask.nii.gz"
            sure = folder / "root_probability.nii.gz"
            if given:
                upstream = [folder / "series.json"]
            else:
                found = Path(source.segmented, f"{scan_id}.nii.gz")
                crop = folder / "crop.json"
                upstream = [crop, Path(source.segmented, f"{scan_id}.json")]
            return run(
                "root",
                scan_id,
                lambda: (
                    place_given(ct, Path(given), mask, sure)
                    if given
                    else place_segmented(ct, found, crop, mask, sure, params.spacing_mm, **limits)
                ),
                record=folder / "root.json",
                upstream=upstream,
                images=[mask, sure],
            )

        done = run_scans(params.given, place, marks=AtWork(seal), workers=snakemake.threads)
        write_seal(seal, done)
