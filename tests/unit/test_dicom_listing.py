"""The same scan from a folder, an archive, a DICOMDIR and a list of the index gives the same CT."""

import tarfile
import zipfile
from pathlib import Path

import pytest
from calcohort.dicom.convert import Limits, convert_scan
from calcohort.dicom.find import find_series
from calcohort.dicom.listing import Listing, Source, write_listing
from calcohort.dicom.pseudonymise import keyed_hash
from calcohort.outcomes import Excluded, Reason
from dicom_factory import KEY, along_normal, uid, write_series

SLICES = 32


@pytest.fixture
def dicom(tmp_path):
    folder = tmp_path / "export" / "dicom"
    write_series(folder, "a", positions=along_normal(SLICES))
    return folder


def run(source, folder):
    ct = folder / "ct.nii.gz"
    findings = convert_scan(source, ct, series_uid=None, limits=Limits(), key=KEY)
    return findings, ct.read_bytes()


def listing_of(folder, label="a", **changes):
    files = [(p.name, p.stat().st_size, 0) for p in sorted(folder.iterdir()) if p.is_file()]
    known = {
        "series_hash": keyed_hash(KEY, "series", uid(label)),
        "kind": "axial",
        "why": "the only original axial CT series",
        "candidates": [],
        "sources": [Source(str(folder), False, files)],
    }
    return Listing(**known | changes)


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tgz"])
def test_a_tar_gives_what_the_folder_gives(dicom, tmp_path, suffix):
    path = tmp_path / f"scan.{suffix}"
    with tarfile.open(path, "w" if suffix == "tar" else "w:gz") as packed:
        for file in sorted(dicom.iterdir(), reverse=True):
            packed.add(file, f"visit/{file.name}")
    assert run(path, tmp_path / "1") == run(dicom, tmp_path / "2")
    assert [path.name for path in (tmp_path / "1").iterdir()] == ["ct.nii.gz"]


def test_a_dicomdir_stands_for_its_folder(dicom, tmp_path):
    (dicom.parent / "DICOMDIR").write_bytes(b"believed by nobody")
    findings, ct = run(dicom.parent / "DICOMDIR", tmp_path / "1")
    assert findings["ignored_files"] == 1
    assert ct == run(dicom, tmp_path / "2")[1]


def test_a_list_takes_its_files_from_folders_and_archives(dicom, tmp_path):
    files = sorted(dicom.iterdir())
    with zipfile.ZipFile(tmp_path / "half.zip", "w") as packed:
        packed.writestr("another patient's.dcm", b"not to be unpacked")
        for file in files[::2]:
            packed.write(file, f"x/{file.name}")
    expected = run(dicom, tmp_path / "1")[1]
    for file in files[::2]:
        file.unlink()
    members = [(f"x/{file.name}", 1, 0) for file in files[::2]]
    write_series(dicom, "b", positions=along_normal(5))
    listing = listing_of(dicom)
    here = [entry for entry in listing.sources[0].files if entry[0].startswith("a")]
    listing = listing_of(
        dicom,
        sources=[
            Source(str(dicom), False, here),
            Source(str(tmp_path / "half.zip"), True, members),
        ],
    )
    path = tmp_path / "scan.files.json"
    write_listing(path, listing)
    assert path.stat().st_mode & 0o777 == 0o600
    findings, ct = run(path, tmp_path / "2")
    assert ct == expected
    assert findings["why_chosen"] == "the only original axial CT series"
    assert findings["ignored_files"] == 0


def test_a_list_of_files_that_are_gone_or_others_is_refused(dicom, tmp_path):
    path = tmp_path / "scan.files.json"
    write_listing(path, listing_of(dicom))
    next(dicom.iterdir()).unlink()
    with pytest.raises(Excluded, match="1 of the 32 files") as caught:
        run(path, tmp_path / "1")
    assert caught.value.reason is Reason.NO_FILES
    write_listing(path, listing_of(dicom, label="b"))
    with pytest.raises(Excluded, match="index again") as caught:
        run(path, tmp_path / "1")
    assert caught.value.reason is Reason.SERIES_NOT_FOUND


def test_more_than_the_limit_is_not_unpacked(dicom, tmp_path):
    sources = [Source(str(tmp_path / "a.zip"), True, [("a", 9 * 10**9, 0)])]
    path = tmp_path / "scan.files.json"
    write_listing(path, listing_of(dicom, sources=sources))
    with pytest.raises(Excluded, match="above 8 GB"):
        run(path, tmp_path / "1")


def test_a_name_that_is_not_utf8_survives_the_list(dicom, tmp_path):
    file = next(dicom.iterdir())
    odd = Path(str(dicom) + "/\udcff.dcm")
    file.rename(odd)
    path = tmp_path / "scan.files.json"
    write_listing(path, listing_of(dicom))
    assert run(path, tmp_path / "1")[1] == run(dicom, tmp_path / "2")[1]
    assert len(find_series(dicom).series[0].images) == SLICES
