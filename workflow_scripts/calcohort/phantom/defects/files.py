"""Defects of files: damaged ones, hostile ones, others among them, and enhanced multi-frame CT."""

import io
import struct
import zlib

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    BasicTextSRStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    RLELossless,
    generate_uid,
)

from calcohort.outcomes import Reason
from calcohort.phantom.defects.scan import Stage, as_bytes, defect

ONE = "008.dcm"
FRAME_ELEMENTS = {
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness"),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept", "RescaleType"),
    "PlanePositionSequence": ("ImagePositionPatient",),
    "CardiacSynchronizationSequence": ("NominalPercentageOfCardiacPhase",),
}
SHARED = ("PixelMeasuresSequence", "PlaneOrientationSequence", "PixelValueTransformationSequence")


@defect(Stage.FILES, Reason.UNREADABLE)
def cut_header(files):
    """One file ends in the middle of its header."""
    files[ONE] = files[ONE][: files[ONE].index(b"ORIGINAL")]


@defect(Stage.FILES, Reason.UNREADABLE)
def cut_pixels(files):
    """One file lacks its last 100 bytes."""
    files[ONE] = files[ONE][:-100]


@defect(Stage.FILES, Reason.UNREADABLE)
def bytes_put_into_pixels(files):
    """Ten bytes were put into the pixels of one file, so that the rest is shifted."""
    files[ONE] = files[ONE][:-1000] + bytes(10) + files[ONE][-1000:]


@defect(Stage.FILES, Reason.UNREADABLE)
def empty_file(files):
    """One file is empty."""
    files[ONE] = b""


@defect(Stage.FILES, Reason.UNREADABLE)
def no_dicom_behind_the_name(files):
    """One .dcm file holds text."""
    files[ONE] = b"not an image" * 100


@defect(Stage.FILES)
def other_files(files):
    """A text, a picture and a table lie among the images."""
    files |= {"readme.txt": b"hello", "view.png": b"\x89PNG\r\n", "list.csv": b"a,b\n1,2\n"}


@defect(Stage.FILES)
def dose_sheet(files):
    """A structured report of another series lies among the images."""
    sheet = pydicom.dcmread(io.BytesIO(files[ONE]))
    for keyword in ("PixelData", "Rows", "Columns", "ImagePositionPatient"):
        delattr(sheet, keyword)
    sheet.Modality = "SR"
    sheet.SOPClassUID = sheet.file_meta.MediaStorageSOPClassUID = BasicTextSRStorage
    sheet.SeriesInstanceUID = generate_uid(entropy_srcs=["sheet"])
    files["sheet.dcm"] = as_bytes(sheet)


@defect(Stage.FILES)
def names_without_extension(files):
    """Files have numbers for names."""
    for k, name in enumerate(sorted(files)):
        files[str(90000 - k)] = files.pop(name)


@defect(Stage.FILES, Reason.UNREADABLE)
def nested_sequences(files):
    """One header holds sequences nested 5,000 deep."""
    item = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    _insert(files, item * 5000)


@defect(Stage.FILES, Reason.UNREADABLE)
def element_of_4_gb(files):
    """One header holds an element that claims 4 GB."""
    _insert(files, b"\x09\x00\x01\x10OB\0\0" + struct.pack("<I", 0xFFFFFFF0))


@defect(Stage.FILES, Reason.UNREADABLE)
def deflated_bomb(files):
    """One deflated file of 2 MB inflates to 2 GB."""
    first = pydicom.dcmread(io.BytesIO(files[ONE]))
    first.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    whole = as_bytes(first)
    start = 144 + struct.unpack_from("<I", whole, 140)[0]
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    header = b"\x09\x00\x01\x10OB\0\0" + struct.pack("<I", 2_000_000_000)
    start_of_body = squeezer.compress(header) + squeezer.flush(zlib.Z_FULL_FLUSH)
    block = squeezer.compress(bytes(20_000_000)) + squeezer.flush(zlib.Z_FULL_FLUSH)
    files[ONE] = whole[:start] + start_of_body + block * 100 + squeezer.flush()


def _insert(files: dict[str, bytes], element: bytes) -> None:
    """Put an element before Image Type in one file."""
    content = files[ONE]
    place = content.index(b"\x08\x00\x08\x00CS")
    files[ONE] = content[:place] + element + content[place:]


@defect(Stage.FILES)
def enhanced_ct(files):
    """The scan is one enhanced multi-frame CT."""
    _enhance(files)


@defect(Stage.FILES)
def compressed_enhanced_ct(files):
    """The same, compressed by RLE."""
    whole = _enhance(files)
    whole.compress(RLELossless, generate_instance_uid=False)
    files["enhanced.dcm"] = as_bytes(whole)


@defect(Stage.FILES)
def frames_in_no_order(files):
    """The frames of an enhanced CT are shuffled."""
    names = sorted(files, key=lambda name: name[::-1])
    _enhance(files, names)


@defect(Stage.FILES, Reason.UNREADABLE)
def frame_without_groups(files):
    """An enhanced CT has one functional group less than frames."""
    whole = _enhance(files)
    del whole.PerFrameFunctionalGroupsSequence[-1]
    files["enhanced.dcm"] = as_bytes(whole)


@defect(Stage.FILES, Reason.NO_PIXEL_SPACING)
def frame_without_position(files):
    """One frame of an enhanced CT has no position."""
    whole = _enhance(files)
    del whole.PerFrameFunctionalGroupsSequence[5].PlanePositionSequence
    files["enhanced.dcm"] = as_bytes(whole)


@defect(Stage.FILES, Reason.UNREADABLE)
def frames_of_half_the_pixels(files):
    """An enhanced CT ends in the middle of its pixels."""
    _enhance(files)
    files["enhanced.dcm"] = files["enhanced.dcm"][:-40000]


def _enhance(files: dict[str, bytes], names: list[str] | None = None) -> Dataset:
    """Replace single CT files by one enhanced CT (DICOM PS3.3, A.38.1) of frames in that order."""
    names = names or sorted(files)
    slices = [pydicom.dcmread(io.BytesIO(files.pop(name))) for name in names]
    whole = Dataset()
    whole.update(slices[0])
    for keywords in FRAME_ELEMENTS.values():
        for keyword in keywords:
            whole.pop(keyword, None)
    whole.file_meta = FileMetaDataset()
    whole.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    whole.file_meta.MediaStorageSOPInstanceUID = whole.SOPInstanceUID
    whole.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    whole.NumberOfFrames = len(slices)
    whole.PixelData = b"".join(each.PixelData for each in slices)
    shared = Dataset()
    for name in SHARED:
        setattr(shared, name, [_subset(slices[0], FRAME_ELEMENTS[name])])
    shared.CTImageFrameTypeSequence = [Dataset()]
    shared.CTImageFrameTypeSequence[0].FrameType = list(whole.ImageType)
    whole.SharedFunctionalGroupsSequence = [shared]
    heights = [float(each.ImagePositionPatient[2]) for each in slices]
    places = sorted(heights)
    whole.PerFrameFunctionalGroupsSequence = [
        _own_groups(each, 1 + places.index(height))
        for each, height in zip(slices, heights, strict=True)
    ]
    files["enhanced.dcm"] = as_bytes(whole)
    return whole


def _own_groups(single: Dataset, number: int) -> Dataset:
    own, content = Dataset(), Dataset()
    for name in FRAME_ELEMENTS.keys() - set(SHARED):
        setattr(own, name, [_subset(single, FRAME_ELEMENTS[name])])
    content.StackID, content.InStackPositionNumber = "1", number
    content.DimensionIndexValues = [1, number]
    own.FrameContentSequence = [content]
    return own


def _subset(dataset: Dataset, keywords: tuple[str, ...]) -> Dataset:
    subset = Dataset()
    for keyword in keywords:
        if keyword in dataset:
            subset[keyword] = dataset[keyword]
    return subset
