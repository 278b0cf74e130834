"""Hostile files cost bounded memory and end as an outcome."""

import subprocess
import sys
import zlib
from pathlib import Path

import pydicom
import pytest
from calcohort.dicom.damage import refuse_inflation
from calcohort.phantom.defects.scan import DEFECTS, as_bytes, write_defective
from calcohort.phantom.defects.table import cases

ROOT = Path(__file__).parents[2]
MEMORY_BYTES = 900_000_000
CONVERT = """
import resource, sys, warnings
from pathlib import Path
from calcohort.dicom.convert import Limits, convert_scan
from calcohort.outcomes import Excluded
warnings.simplefilter("ignore")
try:
    convert_scan(
        Path(sys.argv[1]), Path(sys.argv[2]), series_uid=None, key=b"test",
        limits=Limits(min_slices=20, min_coverage_mm=30),
    )
    print("ok")
except Excluded as problem:
    print(problem.reason)
own = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(max(int(own.split()[1]), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1024)
"""
# VmHWM, as ru_maxrss of a process begins with the memory of the one that started it.


def outcome_and_peak_bytes(source, tmp_path):
    command = [sys.executable, "-c", CONVERT, str(source), str(tmp_path / "out" / "ct.nii.gz")]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=300,
        env={"PYTHONPATH": str(ROOT / "workflow_scripts"), "OMP_NUM_THREADS": "1"},
    )
    reason, peak = done.stdout.split()
    return reason, int(peak)


@pytest.mark.parametrize(
    "name",
    [
        "nested sequences",
        "element of 4 gb",
        "deflated bomb",
        "billions of voxels",
        "more rows than pixels",
    ],
)
def test_memory_is_bounded(name, tmp_path):
    write_defective(tmp_path / "dicom", [DEFECTS[name]])
    expected = next(case.refused for case in cases() if case.name == name)
    reason, peak = outcome_and_peak_bytes(tmp_path / "dicom", tmp_path)
    assert reason == expected
    assert peak < MEMORY_BYTES


def test_a_sparse_file_of_4_gb_is_not_read(tmp_path):
    write_defective(tmp_path / "dicom", [])
    with (tmp_path / "dicom" / "003.dcm").open("r+b") as stream:
        stream.truncate(4_000_000_000)
    reason, peak = outcome_and_peak_bytes(tmp_path / "dicom", tmp_path)
    assert reason == "unreadable"
    assert peak < MEMORY_BYTES


def test_a_compressed_image_larger_than_it_says_is_stopped(tmp_path):
    write_defective(tmp_path / "dicom", [DEFECTS["jpeg 2000"]])
    path = tmp_path / "dicom" / "003.dcm"
    content = path.read_bytes()
    size = content.index(b"\xff\x51") + 6
    path.write_bytes(content[:size] + b"\x00\x00\xff\xff" * 2 + content[size + 8 :])
    reason, peak = outcome_and_peak_bytes(tmp_path / "dicom", tmp_path)
    assert reason == "unreadable"
    assert peak < MEMORY_BYTES


def test_inflation_is_refused_only_above_the_limit(tmp_path):
    write_defective(tmp_path / "dicom", [DEFECTS["deflated"]])
    path = tmp_path / "dicom" / "003.dcm"
    refuse_inflation(path)
    whole = as_bytes(pydicom.dcmread(path))
    bomb = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = b"".join(bomb.compress(bytes(10_000_000)) for _ in range(101)) + bomb.flush()
    path.write_bytes(whole[: 144 + int.from_bytes(whole[140:144], "little")] + body)
    with pytest.raises(ValueError, match="inflates to more than 1 GB"):
        refuse_inflation(path)
