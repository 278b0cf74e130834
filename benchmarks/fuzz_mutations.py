"""The series that `fuzz_dicom.py` mutates, and the mutations."""

import struct
from collections.abc import Callable, Iterator
from copy import deepcopy

import numpy as np
from calcohort.phantom.defects import compression, files, pixels
from calcohort.phantom.defects.scan import as_bytes, sound_datasets

SLICES, ROWS, COLUMNS = 6, 32, 36
LONG_VRS = {b"OB", b"OW", b"OF", b"SQ", b"UT", b"UN", b"UC", b"UR", b"OD", b"OL"}
MOST_MUTATIONS = 3
TEXTS = (
    b"", b" ", b"0", b"-1", b"1", b"nan", b"inf", b"-inf", b"1e400", b"1e-30", b"1e30", b"abc",
    b"1,5", b"0x10", b"99999999999999999999", b"\\", b"1\\2", b"1\\2\\3", b"1\\0\\0\\0\\1\\0",
    b"0\\1\\0\\1\\0\\0", b"1\\2\\3\\4\\5\\6\\7", b"\xff\xfe\x00\x01", b"A" * 70000,
    b"DERIVED\\SECONDARY", b"LOCALIZER", b"ORIGINAL\\PRIMARY\\AXIAL", b"MR", b"CT", b"YES", b"HU",
    b"MGML", b"MONOCHROME1", b"RGB", b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.2",
    b"1.2.840.10008.1.2.5", b"1.2.840.10008.1.2.4.70", b"1.2.840.10008.1.2.1.99",
    b"1.2.840.10008.5.1.4.1.1.7", b"1.2.3", b"ISO_IR 999",
)  # fmt: skip
VRS = (b"DS", b"IS", b"US", b"SS", b"LO", b"UI", b"SQ", b"OW", b"UN", b"FD", b"PN", b"ZZ", b"\0\0")
GEOMETRY = {
    (0x0020, 0x0032), (0x0020, 0x0037), (0x0028, 0x0030), (0x0028, 0x0010), (0x0028, 0x0011),
    (0x0028, 0x0100), (0x0028, 0x0101), (0x0028, 0x0102), (0x0028, 0x0103), (0x0028, 0x1052),
    (0x0028, 0x1053), (0x0008, 0x0008), (0x0008, 0x0060), (0x0020, 0x000E), (0x0028, 0x0002),
}  # fmt: skip
"""Tags (group, element) that decide geometry and HU; every second mutation is of one of them."""


def _series(change: Callable | None = None, enhanced: bool = False) -> dict[str, bytes]:
    datasets = [deepcopy(each) for each in sound_datasets()[:SLICES]]
    rng = np.random.default_rng(3)
    for dataset in datasets:
        dataset.Rows, dataset.Columns = ROWS, COLUMNS
        dataset.PixelData = rng.integers(0, 3000, (ROWS, COLUMNS)).astype("<u2").tobytes()
        dataset.PixelRepresentation = 0
    if change:
        change(datasets)
    content = {f"{k:02d}.dcm": as_bytes(dataset) for k, dataset in enumerate(datasets)}
    if enhanced:
        files.enhanced_ct(content)
    return content


BASES = {
    "plain": _series,
    "signed": lambda: _series(pixels.signed_values),
    "12 bits": lambda: _series(pixels.negative_values_in_12_bits),
    "slopes": lambda: _series(pixels.slope_of_each_slice),
    "RLE": lambda: _series(compression.rle),
    "JPEG 2000": lambda: _series(compression.jpeg_2000),
    "deflated": lambda: _series(compression.deflated),
    "implicit": lambda: _series(compression.implicit_vr),
    "enhanced": lambda: _series(enhanced=True),
}


def mutate(base: dict[str, bytes], rng: np.random.Generator) -> tuple[dict[str, bytes], str]:
    """Return a mutated copy of a series' files, and the names of what was done."""
    mutated, told = dict(base), []
    for _ in range(rng.integers(1, MOST_MUTATIONS + 1)):
        if rng.random() < 0.75:
            change = _pick(rng, HEADER_MUTATIONS)
            everywhere = rng.random() < 0.4
            names = list(mutated) if everywhere else [_pick(rng, sorted(mutated))]
            seed = int(rng.integers(2**32))
            for name in names:
                mutated[name] = change(mutated[name], np.random.default_rng(seed))
        else:
            change = _pick(rng, FILE_MUTATIONS)
            change(mutated, rng)
        told.append(change.__name__.strip("_"))
    return mutated, ", ".join(told)


def _pick(rng: np.random.Generator, choices):
    return choices[int(rng.integers(len(choices)))]


def _elements(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield where each explicit element starts, where its value starts, and where it ends."""
    at = 132
    while at + 8 <= len(content):
        vr, (length,), value = content[at + 4 : at + 6], (0,), at + 8
        if vr in LONG_VRS and at + 12 <= len(content):
            (length,), value = struct.unpack_from("<I", content, at + 8), at + 12
        elif vr.isalpha():
            (length,) = struct.unpack_from("<H", content, at + 6)
        else:
            return
        if length == 0xFFFFFFFF or value + length > len(content):
            return
        yield at, value, value + length
        at = value + length


def _choose(content: bytes, rng: np.random.Generator) -> tuple[int, int, int] | None:
    found = [*_elements(content)]
    weighty = [e for e in found if struct.unpack_from("<HH", content, e[0]) in GEOMETRY]
    if weighty and rng.random() < 0.5:
        return _pick(rng, weighty)
    return _pick(rng, found) if found else None


def _replaced(content: bytes, element: tuple[int, int, int], value: bytes) -> bytes:
    at, start, end = element
    value += b" " * (len(value) % 2)
    head = bytearray(content[at:start])
    if start - at == 12:
        head[8:12] = struct.pack("<I", len(value))
    else:
        head[6:8] = struct.pack("<H", len(value) % 65536)
    return content[:at] + bytes(head) + value + content[end:]


def _other_text(content: bytes, rng: np.random.Generator) -> bytes:
    element = _choose(content, rng)
    return _replaced(content, element, _pick(rng, TEXTS)) if element else content


def _other_number(content: bytes, rng: np.random.Generator) -> bytes:
    """Change one number of a decimal string, a little or much."""
    element = _choose(content, rng)
    if not element:
        return content
    parts = content[element[1] : element[2]].split(b"\\")
    place = int(rng.integers(len(parts)))
    try:
        old = float(parts[place])
    except ValueError:
        return content
    scale = _pick(rng, (1e-9, 1e-4, 0.005, 0.05, 1.0, 100.0))
    parts[place] = f"{old + scale * rng.normal():.9g}".encode()
    return _replaced(content, element, b"\\".join(parts))


def _other_integer(content: bytes, rng: np.random.Generator) -> bytes:
    element = _choose(content, rng)
    values = (0, 1, 2, 7, 8, 11, 12, 15, 16, 17, 32, 255, 65535, int(rng.integers(65536)))
    return (
        _replaced(content, element, struct.pack("<H", _pick(rng, values))) if element else content
    )


def _random_value(content: bytes, rng: np.random.Generator) -> bytes:
    element = _choose(content, rng)
    return _replaced(content, element, rng.bytes(int(rng.integers(40)))) if element else content


def _deleted(content: bytes, rng: np.random.Generator) -> bytes:
    element = _choose(content, rng)
    return content[: element[0]] + content[element[2] :] if element else content


def _repeated(content: bytes, rng: np.random.Generator) -> bytes:
    element = _choose(content, rng)
    return content[: element[2]] + content[element[0] :] if element else content


def _other_vr(content: bytes, rng: np.random.Generator) -> bytes:
    element = _choose(content, rng)
    if not element:
        return content
    return content[: element[0] + 4] + _pick(rng, VRS) + content[element[0] + 6 :]


def _other_length(content: bytes, rng: np.random.Generator) -> bytes:
    element = _choose(content, rng)
    if not element:
        return content
    at, start, _ = element
    if start - at == 12:
        length = struct.pack("<I", _pick(rng, (0xFFFFFFFF, 0xFFFFFFFE, 0x7FFFFFFF, 0, 1, 100)))
        return content[: at + 8] + length + content[start:]
    length = struct.pack("<H", _pick(rng, (0xFFFF, 0xFFFE, 0, 1, 2, 100)))
    return content[: at + 6] + length + content[start:]


def _swapped(content: bytes, rng: np.random.Generator) -> bytes:
    """Give one element the value of another."""
    one, two = _choose(content, rng), _choose(content, rng)
    return _replaced(content, one, content[two[1] : two[2]][:2000]) if one and two else content


def _changed_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.integers(1, 20)):
        if changed:
            changed[int(rng.integers(len(changed)))] = int(rng.integers(256))
    return bytes(changed)


def _changed_pixels(content: bytes, rng: np.random.Generator) -> bytes:
    """Change bytes of the last 300, which are pixels."""
    changed = bytearray(content)
    for _ in range(rng.integers(1, 50)):
        if len(changed) > 300:
            changed[-int(rng.integers(1, 300))] = int(rng.integers(256))
    return bytes(changed)


def _cut(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: int(rng.integers(len(content) + 1))]


def _cut_out(content: bytes, rng: np.random.Generator) -> bytes:
    start = int(rng.integers(len(content) + 1))
    return content[:start] + content[start + int(rng.integers(1, 60)) :]


def _put_in(content: bytes, rng: np.random.Generator) -> bytes:
    start = int(rng.integers(len(content) + 1))
    return content[:start] + rng.bytes(int(rng.integers(1, 60))) + content[start:]


def _file_twice(files: dict[str, bytes], rng: np.random.Generator) -> None:
    files[f"copy{rng.integers(100)}.dcm"] = files[_pick(rng, sorted(files))]


def _file_missing(files: dict[str, bytes], rng: np.random.Generator) -> None:
    if len(files) > 1:
        del files[_pick(rng, sorted(files))]


def _file_of_random_bytes(files: dict[str, bytes], rng: np.random.Generator) -> None:
    files[_pick(rng, sorted(files))] = bytes(128) + b"DICM" + rng.bytes(int(rng.integers(2000)))


def _header_of_another(files: dict[str, bytes], rng: np.random.Generator) -> None:
    """Put the start of one file before the end of another."""
    one, two = (_pick(rng, sorted(files)) for _ in range(2))
    place = int(rng.integers(len(files[one]) + 1))
    files[one] = files[two][:place] + files[one][place:]


HEADER_MUTATIONS = (
    _other_text, _other_text, _other_number, _other_number, _other_number, _other_integer,
    _random_value, _deleted, _repeated, _other_vr, _other_length, _swapped, _changed_bytes,
    _changed_pixels, _changed_pixels, _cut, _cut_out, _put_in,
)  # fmt: skip
FILE_MUTATIONS = (_file_twice, _file_missing, _file_of_random_bytes, _header_of_another)
