"""U-Net2 with and without the lowering of calcium, on the scans of an evaluated run.

    benchmarks/luminance_filter.py results/held_out OUT.csv
    benchmarks/luminance_filter.py results/held_out OUT.png --scan wide-0009

The run is one of phantoms that went through the pipeline. Scans with more than 400 mm³ (F7 in the
true root) are told apart from the rest. With `--scan`, that scan alone is segmented and drawn.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

import calcohort.networks  # noqa: F401  sets oneDNN before TensorFlow is imported
import matplotlib as mpl
import numpy as np
import pandas as pd
from calcohort import volume
from calcohort.evaluation.evaluate import SEVERE_MM3
from calcohort.measure.overlap import dice
from calcohort.networks.predict import Network, load_network
from calcohort.normalise import lower_calcium, normalise
from calcohort.outcomes import OK, Excluded, read_record
from calcohort.segment import find_root, scan_in_crop
from calcohort.study import read_config, read_settings, read_sheet

mpl.use("Agg")
from matplotlib import pyplot as plt

WAYS = ("lowered", "not lowered")
COLOURS = {"true": "#ffffff", "lowered": "#e69f00", "not lowered": "#56b4e9"}


def segmented(network: Network, settings: dict, folder: Path, row: dict) -> tuple | None:
    """Return F7's volume in the true root (mm³), the crop's HU, its voxels (mm) and the roots.

    The roots are masks in the crop by name: the true one, and one for each of `WAYS`, empty where
    no root was found. None stands for a scan without a crop or without an F7 volume to sort by.
    """
    record = read_record(folder / "crop.json")
    if record["status"] != OK or not row.get("reference_root_mask"):
        return None
    true_mm3 = read_record(folder / "comparison.json").get("volume_in_reference_root_mm3")
    if true_mm3 is None:
        return None
    shape, pad = tuple(settings["crop"]["shape_kji"]), settings["crop"]["pad_value_hu"]
    spacing_mm = settings["resample"]["spacing_mm"]
    ct = volume.read(folder / "ct.nii.gz")
    truth = volume.read_mask(Path(row["reference_root_mask"]), ct.grid)
    start = tuple(record["crop_start_kji"])
    true_root = volume.respace(volume.Volume(truth, ct.affine), spacing_mm).array >= 0.5
    ct = volume.respace(ct, spacing_mm)
    hu = volume.crop(ct, start, shape, pad).array
    roots = {"true": volume.crop(volume.Volume(true_root, ct.affine), start, shape, False).array}
    box = tuple(slice(*ends) for ends in record["box_in_crop_kji"])
    inside = scan_in_crop(start, shape, ct.grid.shape)
    for name, seen in zip(WAYS, (lower_calcium(hu, box), hu), strict=True):
        try:
            probability = network.probability(normalise(seen))
            roots[name] = find_root(probability, ct.grid.spacing_mm, box, inside)
        except Excluded:
            roots[name] = np.zeros(shape, dtype=bool)
    return true_mm3, hu, ct.grid.spacing_mm, roots


def draw(out: Path, scan_id: str, true_mm3: float, hu, spacing_mm, roots) -> None:
    """Draw the three planes through the place where the two masks differ most."""
    differs = roots[WAYS[0]] != roots[WAYS[1]]
    figure, axes = plt.subplots(1, 3, figsize=(9, 3.6), layout="constrained")
    for axis, (panel, title) in enumerate(zip(axes, ("axial", "coronal", "sagittal"), strict=True)):
        across = tuple(other for other in range(3) if other != axis)
        at = differs.sum(axis=across).argmax()
        window = [slice(None)] * 3
        for other in across:
            there = np.flatnonzero(roots["true"].any(axis=tuple({0, 1, 2} - {other})))
            reach = round(15 / spacing_mm[other])
            window[other] = slice(max(there[0] - reach, 0), there[-1] + reach)
        window[axis] = at
        aspect = spacing_mm[across[0]] / spacing_mm[across[1]]
        origin = "upper" if title == "axial" else "lower"
        panel.imshow(
            hu[tuple(window)], cmap="gray", vmin=-150, vmax=1200, origin=origin, aspect=aspect
        )
        for name, colour in COLOURS.items():
            if roots[name][tuple(window)].any():
                panel.contour(roots[name][tuple(window)], [0.5], colors=colour, linewidths=1.4)
        panel.set_title(title)
        panel.set_axis_off()
    labels = [
        f"{name}, Dice {dice(roots[name], roots['true']):.3f}" if name in WAYS else "true root"
        for name in COLOURS
    ]
    figure.legend(
        [plt.Line2D([], [], color=colour) for colour in COLOURS.values()], labels,
        loc="outside lower center", ncols=3, facecolor="0.5",
    )  # fmt: skip
    figure.suptitle(f"{scan_id}: {true_mm3:.0f} mm³ of calcium (F7 in the true root)")
    figure.savefig(out, dpi=120)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="folder with phantoms/scans.tsv and scans/")
    parser.add_argument("out", type=Path, help="CSV, or PNG with --scan")
    parser.add_argument("--scan", help="draw this one")
    parser.add_argument("--configfile", type=Path, help="laid over config.yaml: other weights")
    given = parser.parse_args()
    settings = read_settings(read_config(given.configfile))
    network = load_network(device="cpu", **settings["segment"]["network"])
    rows = []
    for scan_id, row in read_sheet(given.results / "phantoms" / "scans.tsv").items():
        if given.scan not in (None, scan_id):
            continue
        found = segmented(network, settings, given.results / "scans" / scan_id, row)
        if found is None:
            continue
        if given.scan:
            draw(given.out, scan_id, *found)
            return
        true_mm3, _, _, roots = found
        scores = {name: dice(roots[name], roots["true"]) for name in WAYS}
        rows.append({"scan_id": scan_id, "volume_in_true_root_mm3": true_mm3, **scores})
        print(", ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    if not rows:
        parser.error(f"no scan to judge in {given.results}: none has a crop and an F7 volume")
    table = pd.DataFrame(rows)
    table.to_csv(given.out, index=False)
    severe = np.where(table["volume_in_true_root_mm3"] > SEVERE_MM3, "severe", "others")
    print(table.groupby(severe)[list(WAYS)].agg(["count", "mean", "min"]).round(4).to_string())


if __name__ == "__main__":
    main()
