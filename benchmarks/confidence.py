"""How often the interval of the calcium volume holds the truth, on phantoms no network has seen.

    benchmarks/confidence.py OUT --family template --first-seed 401 --count 20

The truth is F7's volume in the true root of the scan without noise. Each phantom is rendered and
segmented once and kept in OUT. Told too is the least factor (`confidence.FACTOR`) whose intervals
would hold 95 % of the truths: it is chosen on other seeds than those judged.
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
from calcohort import confidence, volume
from calcohort.localise import crop_start
from calcohort.measure.measure import MeasureSettings, measure_calcium
from calcohort.networks.data import AIR_HU, CROP_SHAPE, FIRST_FREE_SEED, jittered
from calcohort.networks.predict import load_network
from calcohort.normalise import lower_calcium, normalise
from calcohort.outcomes import Excluded
from calcohort.phantom.families import FAMILIES
from calcohort.root import on_grid
from calcohort.segment import find_root, scan_in_crop
from calcohort.study import read_config, read_settings
from calcohort.volume import Volume, bounding_slices

MARGIN_MM = 12.0
RENDERED_IN_PARTS = ("template",)
"""Without noise a part of their scan has the values of the whole."""


def segmented(folder: Path, family_name: str, seed: int, network, settings) -> dict:
    """Return a phantom's window around the root: found and true root, volume without noise."""
    path = folder / f"{family_name}-{seed}.npz"
    if path.exists():
        return dict(np.load(path))
    family = FAMILIES[family_name]
    patient = family.draw(seed)
    scan = family.scan_grid(patient)
    ends = np.sort(scan.index(family.root_box(patient)), axis=0)
    seen = scan.respaced(settings["resample"]["spacing_mm"])
    start = crop_start(*seen.cover(scan, np.floor(ends[0]), np.ceil(ends[1])), CROP_SHAPE)
    crop_grid = seen.window(start, CROP_SHAPE)
    first, last = scan.cover(crop_grid, (0, 0, 0), CROP_SHAPE)
    first, last = np.maximum(first, 0), np.minimum(last, scan.shape)
    grid = scan.window(first, last - first)
    noisy = family.render(patient, grid)
    hu = noisy.hu
    inside = scan_in_crop(start, CROP_SHAPE, seen.shape)
    crop = np.full(CROP_SHAPE, AIR_HU, dtype=np.int16)
    resampled = volume.resample(Volume(hu, grid.affine), crop_grid, outside="nearest").array
    crop[inside] = resampled[inside]
    around = bounding_slices(noisy.root)
    root_in_crop = volume.resample(Volume(noisy.root, grid.affine), crop_grid).array >= 0.5
    box = jittered(bounding_slices(root_in_crop), crop_grid, np.random.default_rng(seed))
    probability = network.probability(normalise(lower_calcium(crop, box)))
    found = find_root(probability, crop_grid.spacing_mm, box, inside)
    stored = Volume(np.rint(probability * 255).astype(np.uint8), crop_grid.affine)
    root, sure = on_grid(stored, found, grid)
    window = tuple(
        slice(max(side.start - round(MARGIN_MM / mm), 0), side.stop + round(MARGIN_MM / mm))
        for side, mm in zip(around, grid.spacing_mm, strict=True)
    )
    part = grid.window([side.start for side in window], noisy.root[window].shape)
    if family_name in RENDERED_IN_PARTS:
        quiet_hu = family.render(patient, part, noise=False).hu
    else:
        quiet_hu = family.render(patient, grid, noise=False).hu[window]
    findings, calcium = measure_calcium(
        Volume(quiet_hu, part.affine),
        noisy.root[window],
        settings=MeasureSettings(**settings["measure"]),
    )
    kept = {
        "hu": hu[window],
        "probability": sure[window],
        "root": root[window],
        "true_root": noisy.root[window],
        "affine": part.affine,
        "truth_mm3": calcium.sum() * grid.voxel_volume_mm3,
        "true_luminance_hu": findings["luminance_hu"],
    }
    np.savez_compressed(path, **kept)
    return kept


def judged(seed: int, case: dict, settings: MeasureSettings) -> dict:
    """Measure the calcium in the found root and hold its interval against the truth."""
    ct, root = Volume(case["hu"], case["affine"]), case["root"]
    findings, _ = measure_calcium(ct, root, settings=settings)
    volumes = {rule["rule"]: rule["calcium_volume_mm3"] for rule in findings["rules"]}
    probability = case["probability"] / np.float32(255)
    true_root, truth = case["true_root"], float(case["truth_mm3"])

    def interval(factor: float) -> confidence.Interval:
        return confidence.volume_intervals(
            ct, root, probability, findings, {"F7": volumes["F7"]}, k=settings.k, factor=factor
        )["F7"]

    def holds(factor: float) -> bool:
        low, high = interval(factor)
        return low <= truth <= high

    low, high = interval(confidence.FACTOR)
    return {
        "seed": seed,
        "luminance_hu": findings["luminance_hu"],
        "true_luminance_hu": float(case["true_luminance_hu"]),
        "dice": 2 * (root & true_root).sum() / (root.sum() + true_root.sum()),
        "expected_dice": confidence.expected_dice(root, probability),
        "volume_mm3": volumes["F7"],
        "truth_mm3": truth,
        "low_mm3": low,
        "high_mm3": high,
        "covered": low <= truth <= high,
        "least_factor": next(filter(holds, np.arange(0, 10, 0.05)), np.inf),
    }


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder of the segmented phantoms and the table")
    parser.add_argument("--family", default="template", choices=FAMILIES)
    parser.add_argument("--first-seed", type=int, required=True)
    parser.add_argument("--count", type=int, default=20)
    given = parser.parse_args()
    if given.first_seed + given.count > FIRST_FREE_SEED:
        sys.exit(f"confidence: seeds from {FIRST_FREE_SEED} on are the training's")
    given.out.mkdir(parents=True, exist_ok=True)
    settings = read_settings(read_config())
    measure = MeasureSettings(**settings["measure"])
    network = load_network(device="cpu", **settings["segment"]["network"])
    rows = []
    for seed in range(given.first_seed, given.first_seed + given.count):
        try:
            case = segmented(given.out, given.family, seed, network, settings)
            rows.append(judged(seed, case, measure))
        except Excluded as problem:
            print(f"{seed}: {problem}", flush=True)
            continue
        print(", ".join(f"{key} {value:.6g}" for key, value in rows[-1].items()), flush=True)
    table = pd.DataFrame(rows)
    table.to_csv(given.out / f"{given.family}-{given.first_seed}.csv", index=False)
    covered, width = table["covered"], table["high_mm3"] - table["low_mm3"]
    print(
        f"{given.family}: truth inside the interval in {covered.sum()} of {len(table)} "
        f"({covered.mean():.0%}), median width {width.median():.1f} mm³; least factor that holds "
        f"95 %: {np.quantile(table['least_factor'], 0.95):.2f}"
    )


if __name__ == "__main__":
    main()
