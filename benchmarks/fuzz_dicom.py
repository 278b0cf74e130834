"""Convert mutated DICOM and compare what is accepted with SimpleITK's reading of the same files.

    python benchmarks/fuzz_dicom.py OUTPUT_FOLDER [CASES] [SEED] [FIRST_CASE]

Each case mutates the headers, the pixels or the bytes of a small series and takes it through the
whole conversion. It must end as an outcome of the closed list, or as a volume of which every slice
lies where SimpleITK finds it in a file (0.01 mm), with its HU; of files that SimpleITK cannot read,
where it found it before the mutation. Anything else (a crash, a hang of
more than a minute, a wrong voxel) is written to `failures.txt` with the number of its case, and the
status is 1. `outcomes.csv` counts the outcomes.
"""

import csv
import logging
import multiprocessing
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "workflow_scripts"), str(ROOT / "benchmarks")]

from calcohort.dicom.convert import Limits, Repairs, convert_scan  # noqa: E402
from calcohort.outcomes import Excluded  # noqa: E402
from calcohort.volume import Volume, read  # noqa: E402
from fuzz_mutations import BASES, mutate  # noqa: E402

LIMITS = Limits(min_slices=4, min_coverage_mm=5)
REPAIRS = Repairs(identical_duplicates=True, padding=True, slice_rescale=True)
CASE_S = 60
AIR_HU = -1024
READING_S, READING_BYTES = 10, 4_000_000_000
POSITION_ERROR_MM = 0.021
"""Twice the conversion's 0.01 mm (of a slice, and of the grid), and rounding."""
ROUNDING_HU = 0.5001
Reading = tuple[np.ndarray, np.ndarray]


def main(folder: Path, cases: int, seed: int, first: int) -> int:
    """Run the cases; return the number of failures."""
    folder.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    sitk.ProcessObject.GlobalWarningDisplayOff()
    signal.signal(signal.SIGALRM, _too_long)
    outcomes, failures, start = Counter(), [], time.monotonic()
    bases = {name: make() for name, make in BASES.items()}
    truths = {name: _truth(files, folder / "base") for name, files in bases.items()}
    for number in range(first, first + cases):
        rng = np.random.default_rng([seed, number])
        base = str(rng.choice(list(bases)))
        source = folder / "case"
        shutil.rmtree(source, ignore_errors=True)
        (source / "dicom").mkdir(parents=True)
        files, told = mutate(bases[base], rng)
        for name, content in files.items():
            (source / "dicom" / name).write_bytes(content)
        signal.alarm(CASE_S)
        try:
            other = "changed_pixels" in told or "changed_bytes" in told
            outcome = _outcome(source, [] if other else truths[base])
        except Exception:
            outcome = "failure"
            failures.append(f"case {number}, {base}: {told}\n{traceback.format_exc()}\n")
        signal.alarm(0)
        outcomes[base, outcome] += 1
    shutil.rmtree(folder / "case", ignore_errors=True)
    (folder / "failures.txt").write_text("".join(failures), encoding="utf-8")
    with (folder / "outcomes.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["base", "outcome", "cases"])
        writer.writerows((*key, count) for key, count in sorted(outcomes.items()))
    _tell(outcomes, len(failures), time.monotonic() - start)
    return len(failures)


def _truth(files: dict[str, bytes], folder: Path) -> list[Reading]:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    readings = _read_all(folder)
    shutil.rmtree(folder)
    return readings


def _outcome(source: Path, truth: list[Reading]) -> str:
    ct = source / "out" / "ct.nii.gz"
    try:
        convert_scan(
            source / "dicom", ct, series_uid=None, limits=LIMITS, key=b"fuzz", repairs=REPAIRS
        )
    except Excluded as problem:
        if ct.exists() or any(ct.parent.glob("*")):
            raise AssertionError("an excluded scan left files") from problem
        return str(problem.reason)
    return "converted" if _compare(read(ct), source / "dicom", truth) else "converted, not compared"


def _compare(volume: Volume, folder: Path, truth: list[Reading]) -> bool:
    """Cover the volume by images that SimpleITK reads: of the files, else as they were before.

    Where pixels were changed there is no truth from before; slices that SimpleITK cannot read, or
    places elsewhere because their header is damaged, then have nothing to be compared with.

    Returns
    -------
    bool
        Whether every slice was compared.
    """
    equal, other = (np.zeros(volume.array.shape, bool) for _ in range(2))
    for hu, world in [*_read_apart(folder), *truth]:
        exact = volume.grid.index(world)
        index = exact.round().astype(int)
        off_mm = np.abs((exact - index) * volume.grid.spacing_mm).max()
        if off_mm > POSITION_ERROR_MM or (index < 0).any() or (index >= equal.shape).any():
            continue
        place = tuple(np.moveaxis(index, -1, 0))
        same = np.abs(_without_padding(hu) - volume.array[place]).max() <= ROUNDING_HU
        (equal if same else other)[place] = True
    if (other & ~equal).any() or (truth and not equal.all()):
        raise AssertionError("SimpleITK finds other HU, or none, at the place of a slice")
    return bool(equal.all())


def _read_apart(folder: Path) -> list[Reading]:
    """Read all files in a process of its own: SimpleITK may hang or grow on what it cannot read."""
    with multiprocessing.get_context("fork").Pool(1, _bound) as child:
        try:
            return child.apply_async(_read_all, [folder]).get(READING_S)
        except multiprocessing.TimeoutError:
            return []


def _bound() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (READING_BYTES, READING_BYTES))


def _read_all(folder: Path) -> list[Reading]:
    return [reading for path in sorted(folder.iterdir()) for reading in _read(path)]


def _read(path: Path) -> Iterator[Reading]:
    """Yield HU ``[row, column]`` and places (row, column, 3), RAS mm, of a file's images."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        image = reader.Execute()
    except (RuntimeError, MemoryError):
        return
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        return
    hu = sitk.GetArrayFromImage(image).astype(float)
    axes = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    index = np.moveaxis(np.indices(hu.shape), 0, -1)[..., ::-1]
    world = (index @ axes.T + image.GetOrigin()) * (-1, -1, 1)
    yield from zip(hu, world, strict=True)


def _without_padding(hu: np.ndarray) -> np.ndarray:
    return np.maximum(hu, AIR_HU)


def _too_long(*_) -> None:
    raise TimeoutError(f"more than {CASE_S} s")


def _tell(outcomes: Counter, failures: int, seconds: float) -> None:
    total = Counter()
    for (_, outcome), count in outcomes.items():
        total[outcome] += count
    for outcome, count in total.most_common():
        print(f"{count:7d}  {outcome}")
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(each.ru_utime + each.ru_stime for each in usage)
    print(f"{sum(total.values())} cases, {failures} failures, {seconds:.0f} s, {cpu:.0f} s of CPU")
    peaks_mb = [each.ru_maxrss / 1e3 for each in usage]
    print("peak memory {:.0f} MB, of a child process {:.0f} MB".format(*peaks_mb))


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[2:5]]
    cases, seed, first = numbers + [300, 1, 0][len(numbers) :]
    sys.exit(1 if main(Path(sys.argv[1]), cases, seed, first) else 0)
