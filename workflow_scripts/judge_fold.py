"""Judge a fold's network by the scans it has not seen. In: weights, scans. Out: scans.csv."""

import csv
import hashlib
from pathlib import Path

from calcohort.logs import job_log
from calcohort.networks.predict import load_network
from calcohort.outcomes import atomic_path
from calcohort.training import FIGURES
from calcohort.training.judge import judge_scans
from calcohort.training.split import read_split

if __name__ == "__main__":
    source, params = snakemake.input, snakemake.params
    with job_log(snakemake.log[0], snakemake.config["private"]):
        fold = int(snakemake.wildcards.fold.removeprefix("fold-"))
        held_out = [
            (scan_id, f"{params.scans}/{scan_id}/ct.nii.gz", params.masks[scan_id])
            for scan_id, its_fold in read_split(source.split).items()
            if its_fold == fold
        ]
        digest = hashlib.sha256(Path(source.weights).read_bytes()).hexdigest()
        network = load_network(source.weights, digest, device=params.device, **params.shape)
        with (
            atomic_path(snakemake.output[0]) as temporary,
            temporary.open("w", newline="") as file,
        ):
            writer = csv.DictWriter(file, ["scan_id", "fold", *FIGURES], lineterminator="\n")
            writer.writeheader()
            for row in judge_scans(network, snakemake.wildcards.network, held_out, params.view):
                writer.writerow(row | {"fold": fold})
