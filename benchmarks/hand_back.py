"""Time, memory and size of handing one full-size phantom back; a picture from its DICOM alone.

PYTHONPATH=workflow_scripts python benchmarks/hand_back.py FOLDER

FOLDER gets one phantom (kept for the next time), its results with the true root, its SEGs and
SR, and `seg_over_ct.png`: the CT files with the frames of the SEGs that name them.
"""

import argparse
import resource
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pydicom
from calcohort import volume
from calcohort.calcium import measure_scan
from calcohort.dicom.convert import Limits, convert_scan
from calcohort.handback.scan import hand_back_scan
from calcohort.measure.measure import MeasureSettings
from calcohort.outcomes import run_stage
from calcohort.phantom.cohort import make_cohort
from calcohort.root import place_given
from calcohort.study import read_sheet

KEY = b"key of the benchmark"
COLOURS = {"aortic root": "#0072B2", "calcium": "#D55E00"}
WINDOW_HU = (-200, 1200)


def make_results(row: dict, results: Path) -> None:
    """Convert, place the true root, measure: what the chain leaves for a scan."""
    names = ("ct.nii.gz", "root_mask.nii.gz", "root_probability.nii.gz")
    ct, root, sure = (results / name for name in names)
    source, given = Path(row["dicom"]), Path(row["reference_root_mask"])
    convert = {"series_uid": None, "limits": Limits(), "key": KEY}
    for stage, work, record in (
        ("convert", lambda: convert_scan(source, ct, **convert), "series.json"),
        ("root", lambda: place_given(ct, given, root, sure), "root.json"),
        ("measure", lambda: measure_scan(results, MeasureSettings(), None), "calcium.json"),
    ):
        run_stage(stage, "s1", work, results / record)


def draw(source: Path, segs: dict[str, Path], picture: Path) -> None:
    """Draw three slices of the CT with the outlines of the SEGs' frames that refer to them."""
    files = {
        str(pydicom.dcmread(path, specific_tags=["SOPInstanceUID"]).SOPInstanceUID): path
        for path in source.rglob("*")
        if path.is_file()
    }
    frames: dict[str, dict[str, np.ndarray]] = {}
    for name, path in segs.items():
        seg = pydicom.dcmread(path)
        groups = seg.PerFrameFunctionalGroupsSequence
        for frame, own in zip(seg.pixel_array, groups, strict=True):
            uid = own.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
            frames.setdefault(str(uid), {})[name] = frame
    both = sorted(
        (uid for uid in frames if len(frames[uid]) == 2), key=lambda u: frames[u]["calcium"].sum()
    )
    figure, axes = plt.subplots(1, 3, figsize=(12, 4.2), layout="constrained")
    for axis, uid in zip(axes, (both[-1], both[len(both) // 2], both[0]), strict=True):
        image = pydicom.dcmread(files[uid])
        hu = image.pixel_array * image.RescaleSlope + image.RescaleIntercept
        axis.imshow(hu, cmap="gray", vmin=WINDOW_HU[0], vmax=WINDOW_HU[1])
        for name, mask in frames[uid].items():
            axis.contour(mask, [0.5], colors=COLOURS[name], linewidths=1)
        rows, columns = np.nonzero(frames[uid]["aortic root"])
        axis.set_xlim(columns.min() - 40, columns.max() + 40)
        axis.set_ylim(rows.max() + 40, rows.min() - 40)
        axis.set_title(f"z = {float(image.ImagePositionPatient[2]):.1f} mm")
        axis.set_axis_off()
    lines = [plt.Line2D([], [], color=COLOURS[name], label=name) for name in COLOURS]
    figure.legend(handles=lines, loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(picture, dpi=120)


def main(folder: Path) -> None:
    """Make, hand back, draw, print."""
    sheet = make_cohort(folder / "phantoms", measurable=1, first_seed=77, jobs=1, report=print)
    row = next(iter(read_sheet(sheet).values()))
    results, out, source = folder / "results", folder / "handback", Path(row["dicom"])
    if not (results / "calcium.json").is_file():
        make_results(row, results)
    for path in out.glob("*.dcm"):
        path.unlink()
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started, cpu = time.perf_counter(), time.process_time()
    done = hand_back_scan("s1", results, source, out, key=KEY, max_archive_bytes=8e9)
    took, cpu = time.perf_counter() - started, time.process_time() - cpu
    after_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    shape = "×".join(map(str, volume.read(results / "ct.nii.gz").array.shape))
    sizes = ", ".join(
        f"{p.name} {p.stat().st_size / 1e6:.2f} MB" for p in sorted(out.glob("*.dcm"))
    )
    print(
        f"{done.outcome} {done.detail}; {shape} voxels: {took:.1f} s ({cpu:.1f} s of CPU), {sizes}"
    )
    print(f"peak memory {after_mb:.0f} MB, before {before_mb:.0f} MB")
    segs = {"aortic root": out / "seg_root.dcm", "calcium": out / "seg_calcium.dcm"}
    draw(source, segs, folder / "seg_over_ct.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    main(parser.parse_args().folder)
