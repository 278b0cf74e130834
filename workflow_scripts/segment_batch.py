"""Segment the roots of a batch with U-Net2. In: folder of crops. Out: probabilities."""

from pathlib import Path

import numpy as np
from calcohort import volume
from calcohort.at_work import AtWork
from calcohort.batch import run_batch
from calcohort.logs import job_log
from calcohort.networks.predict import load_network, mean_probability
from calcohort.normalise import lower_calcium, normalise
from calcohort.trace import Trace

if __name__ == "__main__":
    params, folder = snakemake.params, Path(snakemake.output[0])
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
            cts=[f"{snakemake.input.crops}/{scan_id}.nii.gz" for scan_id in params.scan_ids],
            upstream=[f"{params.scans}/{scan_id}/crop.json" for scan_id in params.scan_ids],
            folder=folder,
            marks=AtWork(folder),
            trace=trace,
            suffix=".nii.gz",
        )
