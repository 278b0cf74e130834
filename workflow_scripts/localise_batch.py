"""Localise the roots of a batch with U-Net1. In: ct_downscaled.nii.gz of each scan. Out: boxes."""

from pathlib import Path

from calcohort.batch import run_batch
from calcohort.localise import find_box
from calcohort.logs import job_log
from calcohort.networks.predict import load_network
from calcohort.normalise import normalise

if __name__ == "__main__":
    params = snakemake.params
    with job_log(snakemake.log[0]):
        network = load_network(device=params.device, **params.settings["network"])

        def find(ct, record, _image):
            """Box of the root on the full scan's grid."""
            probability = network.probability(normalise(ct.array))
            return find_box(
                probability, ct.grid, params.factor_kji, margin_mm=params.settings["margin_mm"]
            )

        run_batch(
            "localise",
            params.scan_ids,
            find,
            cts=snakemake.input.cts,
            upstream=snakemake.input.upstream,
            folder=Path(snakemake.output[0]),
        )
