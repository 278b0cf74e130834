"""U-Net2 with and without the lowering of calcium, on the scans of an evaluated run.

    benchmarks/luminance_filter.py results/evaluation OUT.csv

The run is one of phantoms that went through the pipeline. Scans with more than 400 mm³ (F7 in the
true root) are told apart from the rest.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

import calcohort.networks  # noqa: F401  sets oneDNN before TensorFlow is imported
import numpy as np
import pandas as pd
from calcohort import volume
from calcohort.measure.overlap import dice
from calcohort.networks.predict import load_network
from calcohort.normalise import lower_calcium, normalise
from calcohort.outcomes import OK, Excluded, read_record
from calcohort.phantom.evaluate import SEVERE_MM3
from calcohort.segment import find_root, scan_in_crop
from calcohort.study import read_config, read_settings, read_sheet


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="folder with phantoms/scans.tsv and scans/")
    parser.add_argument("out", type=Path, help="CSV")
    parser.add_argument("--configfile", type=Path, help="laid over config.yaml: other weights")
    given = parser.parse_args()
    settings = read_settings(read_config(given.configfile))
    network = load_network(device="cpu", **settings["segment"]["network"])
    shape, pad = tuple(settings["crop"]["shape_kji"]), settings["crop"]["pad_value_hu"]
    spacing_mm = settings["resample"]["spacing_mm"]
    rows = []
    for scan_id, row in read_sheet(given.results / "phantoms" / "scans.tsv").items():
        folder = given.results / "scans" / scan_id
        record = read_record(folder / "crop.json")
        if record["status"] != OK or not row.get("reference_root_mask"):
            continue
        ct = volume.read(folder / "ct.nii.gz")
        truth = volume.read_mask(Path(row["reference_root_mask"]), ct.grid)
        start = tuple(record["crop_start_kji"])
        true_root = volume.respace(volume.Volume(truth, ct.affine), spacing_mm).array >= 0.5
        ct = volume.respace(ct, spacing_mm)
        hu = volume.crop(ct, start, shape, pad).array
        true_root = volume.crop(volume.Volume(true_root, ct.affine), start, shape, False).array
        box = tuple(slice(*ends) for ends in record["box_in_crop_kji"])
        inside = scan_in_crop(start, shape, ct.grid.shape)
        severe_mm3 = read_record(folder / "comparison.json")["volume_in_reference_root_mm3"]
        found = {"scan_id": scan_id, "volume_in_true_root_mm3": severe_mm3}
        for name, seen in (("filtered", lower_calcium(hu, box)), ("unfiltered", hu)):
            try:
                probability = network.probability(normalise(seen))
                root = find_root(probability, ct.grid.spacing_mm, box, inside)
                found[f"dice_{name}"] = dice(root, true_root)
            except Excluded:
                found[f"dice_{name}"] = 0.0
        rows.append(found)
        print(", ".join(f"{key} {value}" for key, value in found.items()), flush=True)
    table = pd.DataFrame(rows)
    table.to_csv(given.out, index=False)
    severe = np.where(table["volume_in_true_root_mm3"] > SEVERE_MM3, "severe", "others")
    columns = ["dice_filtered", "dice_unfiltered"]
    print(table.groupby(severe)[columns].agg(["count", "mean", "min"]).round(4).to_string())


if __name__ == "__main__":
    main()
