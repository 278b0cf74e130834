"""What becomes of roots that the scan cuts, on the phantoms of an evaluated run.

    benchmarks/cut_roots.py results/held_out --cut-mm 4 8 12 --scans 8

Each scan is cut so that its root loses so much at its lower or its upper end. No cut root may be
measured.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

import numpy as np
from both_networks import BothNetworks
from calcohort import volume
from calcohort.volume import Volume


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="results of phantoms")
    parser.add_argument("--cut-mm", type=float, nargs="+", default=[4.0, 8.0, 12.0])
    parser.add_argument("--scans", type=int, default=8, help="of each family, the first ones")
    parser.add_argument("--configfile", type=Path, default=Path("held_out.yaml"))
    given = parser.parse_args()
    networks = BothNetworks(given.configfile)
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
                found = networks.find(Volume(ct.array[first:last], part.affine))
                told = found.why or f"measured, {found.root_ml:.1f} mL"
                print(f"{scan_id}, {mm:g} mm off its {end} end: {told}", flush=True)


if __name__ == "__main__":
    main()
