"""What becomes of roots that the scan cuts, on the phantoms of an evaluated run.

    benchmarks/cut_roots.py results/held_out --cut-mm 4 8 12 --scans 8

Each scan is cut so that its root loses so much at its lower or its upper end. No cut root may be
measured.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

import calcohort.networks  # noqa: F401  sets oneDNN before TensorFlow is imported
import numpy as np
from calcohort import volume
from calcohort.localise import crop_start, find_box
from calcohort.networks.predict import load_network
from calcohort.normalise import lower_calcium, normalise
from calcohort.outcomes import Excluded
from calcohort.segment import find_root, scan_in_crop
from calcohort.study import read_config, read_settings
from calcohort.volume import Volume


def outcome(ct: Volume, settings, unet1, unet2) -> str:
    """Say what both networks make of a scan."""
    given, wanted = settings["localise"], settings["crop"]
    ct = volume.respace(ct, settings["resample"]["spacing_mm"])
    small = volume.downscale(ct, tuple(settings["downscale"]["factor_kji"]))
    limits = {key: value for key, value in given.items() if key != "network"}
    try:
        box = find_box(unet1.probability(normalise(small.array)), small.grid, ct.grid, **limits)
        ends = box["box_start_kji"], box["box_stop_kji"]
        shape = tuple(wanted["shape_kji"])
        start = crop_start(*ends, shape)
        cut = volume.crop(ct, start, shape, wanted["pad_value_hu"])
        in_crop = tuple(
            slice(max(a - s, 0), min(b - s, n))
            for a, b, s, n in zip(*ends, start, shape, strict=True)
        )
        probability = unet2.probability(normalise(lower_calcium(cut.array, in_crop)))
        inside = scan_in_crop(start, shape, ct.array.shape)
        root = find_root(probability, ct.grid.spacing_mm, in_crop, inside)
    except Excluded as why:
        return f"{why.reason.value}: {why.detail}"
    return f"measured, {root.sum() * ct.grid.voxel_volume_mm3 / 1000:.1f} mL"


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="results of phantoms")
    parser.add_argument("--cut-mm", type=float, nargs="+", default=[4.0, 8.0, 12.0])
    parser.add_argument("--scans", type=int, default=8, help="of each family, the first ones")
    parser.add_argument("--configfile", type=Path, default=Path("held_out.yaml"))
    given = parser.parse_args()
    settings = read_settings(read_config(given.configfile))
    unet1, unet2 = (load_network(**settings[stage]["network"]) for stage in ("localise", "segment"))
    for path in sorted((given.run / "scans").glob("*-*/ct.nii.gz")):
        scan_id = path.parent.name
        if int(scan_id.split("-")[-1]) > given.scans:
            continue
        ct = volume.read(path)
        root = volume.read(given.run / "phantoms/truth" / f"{scan_id}_root.nii.gz").array > 0
        slices = np.flatnonzero(root.any(axis=(1, 2)))
        for mm in given.cut_mm:
            lost = round(mm / ct.grid.spacing_mm[0])
            for end, first, last in (
                ("lower", max(slices[0] + lost, 0), len(root)),
                ("upper", 0, min(slices[-1] + 1 - lost, len(root))),
            ):
                part = ct.grid.window((first, 0, 0), (last - first, *root.shape[1:]))
                seen = Volume(ct.array[first:last], part.affine)
                told = outcome(seen, settings, unet1, unet2)
                print(f"{scan_id}, {mm:g} mm off its {end} end: {told}", flush=True)


if __name__ == "__main__":
    main()
