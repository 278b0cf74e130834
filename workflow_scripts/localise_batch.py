"""Localise the roots of a batch with U-Net1. In: folder of downscaled scans. Out: boxes."""

from pathlib import Path

import numpy as np
from calcohort.at_work import AtWork
from calcohort.batch import run_batch
from calcohort.localise import find_box
from calcohort.logs import job_log
from calcohort.networks.predict import load_network
from calcohort.normalise import normalise
from calcohort.trace import Trace
from calcohort.volume import Grid

if __name__ == "__main__":
    params, folder = snakemake.params, Path(snakemake.output[0])
    downscaled = snakemake.input.downscaled
    with job_log(snakemake.log[0]):
        trace = Trace(snakemake.log.trace, "localise", params.device)
        network = load_network(device=params.device, **params.settings["network"])

        def find(ct, record, _image):
            """Box of the root on the full scan's grid."""
            scan = Grid(tuple(record["scan_shape_kji"]), np.array(record["scan_affine"]))
            probability = network.probability(normalise(ct.array))
            limits = {key: value for key, value in params.settings.items() if key != "network"}
            return find_box(probability, ct.grid, scan, **limits)

        run_batch(
            "localise",
            params.scan_ids,
            find,
            cts=[f"{downscaled}/{scan_id}.nii.gz" for scan_id in params.scan_ids],
            upstream=[f"{downscaled}/{scan_id}.json" for scan_id in params.scan_ids],
            folder=folder,
            marks=AtWork(folder),
            trace=trace,
        )
