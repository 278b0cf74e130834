"""Segment the roots of a batch with U-Net2. In: ct_crop.nii.gz of each. Out: probabilities."""

from pathlib import Path

import numpy as np
from calcohort import volume
from calcohort.batch import run_batch
from calcohort.logs import job_log
from calcohort.networks.predict import load_network, mean_probability
from calcohort.normalise import lower_calcium, normalise
from calcohort.trace import Trace

if __name__ == "__main__":
    params = snakemake.params
    with job_log(snakemake.log[0]):
        trace = Trace(snakemake.log.trace, "segment", params.device)
        network = params.network
        networks = [
            load_network(device=params.device, **network | further)
            for further in ({}, *params.confidence["ensemble"])
        ]

        def segment(ct, record, image):
            """Probability of the root in the crop, stored in steps of 1/255."""
            box = tuple(slice(*ends) for ends in record["box_in_crop_kji"])
            seen = normalise(lower_calcium(ct.array, box))
            probability = mean_probability(networks, seen, mirror=params.confidence["mirror"])
            stored = np.rint(probability * 255).astype(np.uint8)
            volume.write(image, volume.Volume(stored, ct.affine))
            return {"highest_probability": round(float(probability.max()), 4)}

        run_batch(
            "segment",
            params.scan_ids,
            segment,
            cts=snakemake.input.cts,
            upstream=snakemake.input.upstream,
            folder=Path(snakemake.output[0]),
            trace=trace,
            suffix=".nii.gz",
        )
