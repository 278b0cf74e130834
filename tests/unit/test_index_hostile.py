"""Archives and folders that mean harm: bounded, told, and nothing outside is written."""

import contextlib
import io
import os
import random
import resource
import socket
import struct
import subprocess
import sys
import tarfile
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest
from archive_factory import index, table, write_study
from calcohort.dicom.archive import is_archive, members, unpack
from calcohort.dicom.facts import summarise
from calcohort.dicom.find import KEYWORDS, find_series
from calcohort.dicom.header import read_header, text
from calcohort.dicom.walk import walk
from calcohort.index.read import DAMAGED, IMAGE, OTHER, UNREADABLE, facts_from, read_files
from calcohort.outcomes import Excluded, Reason
from dicom_factory import KEY, write_series

MB = 1024**2


@contextlib.contextmanager
def peak_memory_below(limit):
    """Check how much Python allocates at most."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


def bomb_zip(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("zeros.dcm", bytes(200 * MB))


def bomb_tar(path):
    with tarfile.open(path, "w:gz") as packed:
        add(packed, "zeros.dcm", bytes(200 * MB))


def add(packed, name, content=b"x", **attributes):
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    for attribute, value in attributes.items():
        setattr(entry, attribute, value)
    packed.addfile(entry, io.BytesIO(content))


def tar_with(name, **attributes):
    def write(path):
        with tarfile.open(path, "w") as packed:
            content = b"" if attributes else b"x"
            add(packed, name, content, **attributes)

    return write


def zip_with(name):
    def write(path):
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr(zipfile.ZipInfo(name), b"x")

    return write


def encrypted_zip(path):
    zip_with("a.dcm")(path)
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    path.write_bytes(content)


def long_directory_zip(path):
    zip_with("a.dcm")(path)
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.index(b"PK\x05\x06") + 12, 2**31)
    path.write_bytes(content)


def tar_with_huge_header(path):
    entry = tarfile.TarInfo("././@LongLink")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, 2**40
    path.write_bytes(entry.tobuf(tarfile.GNU_FORMAT) + bytes(4 * tarfile.BLOCKSIZE))


def cut_short(path):
    with tarfile.open(path, "w:gz") as packed:
        add(packed, "a.dcm", os.urandom(MB))
    path.write_bytes(path.read_bytes()[: MB // 2])


HOSTILE = {
    "bomb.zip": (bomb_zip, "compressed more than 200 times"),
    "bomb.tar.gz": (bomb_tar, "compressed more than 200 times"),
    "up.zip": (zip_with("../up.dcm"), "lead out"),
    "absolute.zip": (zip_with("/etc/up.dcm"), "lead out"),
    "drive.zip": (zip_with("C:\\up.dcm"), "lead out"),
    "up.tar": (tar_with("a/../../up.dcm"), "lead out"),
    "absolute.tar": (tar_with("/etc/up.dcm"), "lead out"),
    "symlink.tar": (tar_with("a", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "links"),
    "hardlink.tar": (tar_with("a", type=tarfile.LNKTYPE, linkname="/etc/passwd"), "links"),
    "encrypted.zip": (encrypted_zip, "encrypted"),
    "long.zip": (long_directory_zip, "too many members"),
    "header.tar": (tar_with_huge_header, "damaged"),
    "short.tar.gz": (cut_short, "damaged"),
    "empty.zip": (Path.touch, "damaged"),
    "text.tar": (lambda path: path.write_text("no tar" * 200), "damaged"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_with_a_sentence(tmp_path, name):
    write, told = HOSTILE[name]
    archive = tmp_path / "in" / name
    archive.parent.mkdir()
    write(archive)
    with pytest.raises(Excluded, match=told) as caught:
        unpack(archive, tmp_path / "out", 1e9)
    assert caught.value.reason is Reason.UNREADABLE
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "out"]
    assert sum(p.stat().st_size for p in (tmp_path / "out").iterdir()) <= 100e6


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_what_an_archive_would_unpack_to_is_limited(tmp_path, name):
    if name == "a.zip":
        with zipfile.ZipFile(tmp_path / name, "w") as packed:
            packed.writestr("a", bytes(MB))
    else:
        with tarfile.open(tmp_path / name, "w") as packed:
            add(packed, "a", bytes(MB))
    with pytest.raises(Excluded, match="would unpack to"):
        unpack(tmp_path / name, tmp_path / "out", MB / 2)


def test_devices_and_pipes_in_a_tar_are_passed_over(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as packed:
        add(packed, "pipe", b"", type=tarfile.FIFOTYPE)
        add(packed, "device", b"", type=tarfile.CHRTYPE)
        add(packed, "file", b"x")
    assert [member.name for member in members(tmp_path / "a.tar", 1e9)] == ["file"]


def test_names_of_an_archive_never_become_names_on_the_disk(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        for name in ("a", "a/b", "x" * 300 + ".dcm", ".hidden/c", "DOE^JOHN.dcm"):
            packed.writestr(name, name)
    files = unpack(tmp_path / "a.zip", tmp_path / "out", 1e9)
    assert [file.name for file in files] == ["000000.dcm", "000001", "000002", "000003.dcm"]
    assert [file.read_text()[:4] for file in files] == ["DOE^", "a", "a/b", "xxxx"]


def test_an_index_tells_hostile_archives_and_goes_on(tmp_path):
    root = tmp_path / "archive"
    write_study(root / "good", "1")
    for name, (write, _) in HOSTILE.items():
        write(root / name)
    with zipfile.ZipFile(root / "nested.zip", "w") as packed:
        packed.write(root / "up.zip", "inner.zip")
    (root / "data.rar").write_bytes(b"Rar!")
    counts = index(root)
    assert (counts["scans"], counts["nested_archives"]) == (1, 1)
    assert sum(counts["problems"].values()) == len(HOSTILE) + 2
    told = (tmp_path / "private/problems.tsv").read_text()
    assert all(name in told for name in HOSTILE)
    assert not any(name in (tmp_path / "results/cohort/index.json").read_text() for name in HOSTILE)
    assert len(table(root)) == 1


def test_loops_pipes_sockets_and_odd_names_end_and_are_told(tmp_path):
    root = tmp_path / "archive"
    write_study(root / "good", "1")
    (root / "loop").symlink_to(root)
    (root / "nowhere").symlink_to(root / "none")
    (root / "turn").symlink_to(root / "turn")
    os.mkfifo(root / "pipe.dcm")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(root / "socket.dcm"))
    odd = os.fsencode(root) + b"/\xff\xfe patient"
    os.mkdir(odd)
    source = next((root / "good").iterdir())
    with open(odd + b"/\xff1", "wb") as out:
        out.write(source.read_bytes())
    counts = index(root)
    problems = [problem for folder in walk(str(root)) for _, problem in folder.problems]
    assert sorted(problems) == [
        "link to a folder, not followed",
        "link to no file",
        "neither file nor folder, not opened",
        "neither file nor folder, not opened",
        "not readable: ELOOP",
    ]
    assert (counts["images"], counts["scans"]) == (11, 1)
    assert index(root)["opened"] == 0


def test_a_sparse_file_of_four_gigabytes_costs_nothing(tmp_path):
    """Also one whose header claims an element of four gigabytes."""
    image = write_series(tmp_path / "a")[0]
    size = 4 * 1024**3
    whole = image.read_bytes()
    with (tmp_path / "a" / "junk.dcm").open("wb") as out:
        out.truncate(size)
    at = whole.index(b"\x10\x00\x10\x00PN")  # Patient Name, from here on as long as the file
    claim = whole[:at] + b"\x10\x00\x10\x00UN\0\0" + struct.pack("<I", 2**32 - 2)
    with (tmp_path / "a" / "claim.dcm").open("wb") as out:
        out.write(claim)
        out.truncate(size)
    files = [(name, size, 1) for name in ("junk.dcm", "claim.dcm", image.name)]
    start = time.process_time()
    with peak_memory_below(100 * MB):
        states = [read.state for read in read_files(str(tmp_path / "a"), files, KEY)]
        assert len(find_series(tmp_path / "a").broken) == 2
    assert states == [DAMAGED, DAMAGED, IMAGE]
    assert time.process_time() - start < 20


def test_a_bomb_in_a_deflated_header_is_cut(tmp_path):
    image = write_series(tmp_path, positions=[[0, 0, 0]])[0].read_bytes()
    syntax = b"1.2.840.10008.1.2.1\0"
    deflated = b"1.2.840.10008.1.2.1.99"
    (length,) = struct.unpack_from("<I", image, 140)
    at = image.index(syntax) - 2
    meta = image[: 144 + length]
    meta = meta[:at] + struct.pack("<H", len(deflated)) + deflated + meta[at + 2 + len(syntax) :]
    meta = meta[:140] + struct.pack("<I", length + 2) + meta[144:]
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(image[144 + length :])
    body += b"".join(packer.compress(bytes(MB)) for _ in range(500)) + packer.flush()
    with peak_memory_below(100 * MB):
        header = read_header(io.BytesIO(meta + body), KEYWORDS)
    assert text(header, "Modality") == "CT"


def test_what_may_not_be_read_is_told_apart_from_what_is_damaged(tmp_path):
    """As another user, since root may read everything."""
    if os.geteuid() != 0:
        pytest.skip("the rights of another user need root")
    paths = write_series(tmp_path)
    paths[0].chmod(0o000)
    (tmp_path / "closed").mkdir(mode=0o700)
    tmp_path.chmod(0o755)
    code = (
        "import os, pathlib, sys; sys.path[:0] = sys.argv[3:];"
        "from calcohort.dicom.find import find_series;"
        "from calcohort.index.read import read_files;"
        "os.chdir(sys.argv[1]); os.setuid(65534);"
        "files = [(name, 1, 1) for name in sys.argv[2].split()];"
        "print([r.state for r in read_files('.', files, b'k' * 16)]);"
        "find_series(pathlib.Path('.'))"
    )
    names = " ".join(path.name for path in paths[:2])
    command = [sys.executable, "-c", code, str(tmp_path), names, *sys.path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.strip() == str([UNREADABLE, IMAGE]), done.stderr
    assert "a folder of the scan may not be read" in done.stderr


def test_a_folder_of_100000_files_takes_bounded_time_and_memory(tmp_path):
    root = tmp_path / "archive"
    write_study(root, "1")
    (root / "0").write_text("no DICOM")
    for number in range(1, 50_000):
        os.link(root / "0", root / str(number))
    (root / "50000").write_text("no DICOM")
    for number in range(50_001, 100_000):
        os.link(root / "50000", root / str(number))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    assert index(root)["not_dicom"] == 100_000
    first_s = time.process_time() - start
    start = time.process_time()
    assert index(root)["opened"] == 0
    assert time.process_time() - start < first_s / 3
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024  # KiB


@pytest.mark.parametrize("name", ["A.ZIP", "b.tar", "c.tar.gz", "d.TGZ"])
def test_archives_are_known_by_their_names(name):
    assert is_archive(name)
    assert not is_archive(f"{name}.txt")


def test_text_is_not_an_image(tmp_path):
    (tmp_path / "a").write_text("x" * 500)
    assert [r.state for r in read_files(str(tmp_path), [("a", 500, 1)], KEY)] == [OTHER]


def spoiled(header, rng):
    """A header with a few bytes changed, put in, left out, or doubled."""
    words = (b"\xff" * 4, b"SQ\0\0\xff\xff\xff\xff", b"\0", b"nan ", b"1e99", b"\\", b"\x1b$B")
    content = bytearray(header)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        at = rng.randrange(132, len(content))
        change = rng.randrange(4)
        if change == 0:
            content[at] = rng.randrange(256)
        elif change == 1:
            content[at : at + rng.randrange(1, 9)] = rng.choice(words)
        elif change == 2 and at > 200:
            del content[at:]
        else:
            content[at:at] = content[at - rng.randrange(1, 40) : at]
    return bytes(content)


def test_index_and_conversion_see_the_same_in_spoiled_headers(tmp_path):
    header = write_series(tmp_path / "a", positions=[[0, 0, 0]])[0].read_bytes()[:1400]
    rng = random.Random(20)
    seen = set()
    for _ in range(400):
        content = spoiled(header, rng)
        (tmp_path / "a" / "a0000.dcm").write_bytes(content)
        (read,) = read_files(str(tmp_path / "a"), [("a0000.dcm", len(content), 1)], KEY)
        found = find_series(tmp_path / "a")
        summaries = [summarise(series, KEY) for series in found.series]
        expected = {(1, 0): IMAGE, (0, 1): DAMAGED, (0, 0): OTHER}
        assert read.state == expected[len(found.series), len(found.broken)]
        if summaries:
            assert facts_from(read.facts) == summaries[0].facts
        seen.add(read.state)
    assert seen == {IMAGE, DAMAGED}
