"""De-identified DICOM: nothing of the patient stays, all of the image does."""

import pydicom
import pytest
from calcohort.dicom.convert import Limits, convert_scan
from calcohort.dicom.export import KEPT_TOO, export_series
from calcohort.dicom.pseudonymise import keyed_hash, keyed_uid
from calcohort.outcomes import UserError
from dicom_factory import HOSPITAL, KEY, NAME, PATIENT, along_normal, uid, write_series
from dicomanonymizer.dicom_anonymization_databases import dicomfields_2024b as table_e11
from identifiers import SECRET, UID_ROOT, elements_of_the_profile
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import RLELossless

LIMITS = Limits(min_slices=10, min_coverage_mm=10)


def export(tmp_path, name="out", dates="drop", key=KEY):
    count = export_series(
        tmp_path / "in",
        tmp_path / name,
        series_hash=keyed_hash(key, "series", uid("a")),
        key=key,
        dates=dates,
    )
    assert count == len(list((tmp_path / name).iterdir()))
    return [pydicom.dcmread(path) for path in sorted((tmp_path / name).iterdir())]


def convert(source, ct):
    ct.parent.mkdir()
    return convert_scan(source, ct, series_uid=None, limits=LIMITS, key=KEY)


def test_every_attribute_of_the_profiles_table_goes_or_is_replaced(tmp_path):
    elements = elements_of_the_profile()
    assert len(elements) > 500
    unique = {"SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"}
    write_series(tmp_path / "in", **{k: v for k, v in elements.items() if k not in unique})
    for dataset in export(tmp_path):
        for keyword, given in elements.items():
            if keyword in dataset and dataset[keyword].VR != "SQ":
                assert dataset[keyword].value != given, keyword
    for path in (tmp_path / "out").iterdir():
        content = path.read_bytes()
        for secret in (
            SECRET,
            "19310213",
            UID_ROOT,
            PATIENT,
            NAME,
            HOSPITAL,
            uid("a"),
            uid("study"),
        ):
            assert secret.encode() not in content, secret


def test_what_is_kept_besides_the_librarys_procedure_is_not_in_the_profiles_table():
    listed = {tag for tag in table_e11.ALL_TAGS if len(tag) == 2}
    tags = (tag_for_keyword(keyword) for keyword in KEPT_TOO)
    assert not listed.intersection((tag >> 16, tag & 0xFFFF) for tag in tags)


def test_private_elements_nested_names_and_the_files_own_header_go(tmp_path):
    item = Dataset()
    item.OperatorsName, item.CodeMeaning = f"{SECRET}^X", "kept code"
    paths = write_series(tmp_path / "in", CTExposureSequence=[item])
    for path in paths:
        dataset = pydicom.dcmread(path)
        dataset.private_block(0x0009, f"{SECRET} MAKER", create=True).add_new(1, "LO", SECRET)
        dataset.file_meta.SourceApplicationEntityTitle = SECRET
        dataset.preamble = SECRET.encode().ljust(128, b"\0")
        dataset.save_as(path)
    for dataset in export(tmp_path):
        assert not any(element.tag.is_private for element in dataset.iterall())
        assert dataset.CTExposureSequence[0].CodeMeaning == "kept code"
    assert not any(SECRET.encode() in p.read_bytes() for p in (tmp_path / "out").iterdir())


def test_a_name_where_a_number_should_be_goes(tmp_path):
    for path in write_series(tmp_path / "in", KVP="1234567890"):
        path.write_bytes(path.read_bytes().replace(b"1234567890", SECRET.encode()))
    assert not any("KVP" in dataset for dataset in export(tmp_path))
    assert not any(SECRET.encode() in p.read_bytes() for p in (tmp_path / "out").iterdir())


def test_pixels_are_the_same_bits_and_the_series_converts_to_the_same_bytes(tmp_path):
    write_series(tmp_path / "in", ConvolutionKernel="I26f", TriggerTime=600)
    given = {d.pixel_array.tobytes() for d in map(pydicom.dcmread, (tmp_path / "in").iterdir())}
    out = export(tmp_path)
    assert {dataset.PixelData for dataset in out} == given
    assert (out[0].ConvolutionKernel, out[0].TriggerTime) == ("I26f", 600)
    first = convert(tmp_path / "in", tmp_path / "a/ct.nii.gz")
    second = convert(tmp_path / "out", tmp_path / "b/ct.nii.gz")
    assert (tmp_path / "a/ct.nii.gz").read_bytes() == (tmp_path / "b/ct.nii.gz").read_bytes()
    assert first["tilt_degrees"] == second["tilt_degrees"]


def test_compressed_pixels_are_not_touched(tmp_path):
    for path in write_series(tmp_path / "in"):
        dataset = pydicom.dcmread(path)
        dataset.compress(RLELossless)
        dataset.save_as(path)
    before = sorted(pydicom.dcmread(path).PixelData for path in (tmp_path / "in").iterdir())
    out = export(tmp_path)
    assert sorted(dataset.PixelData for dataset in out) == before
    assert out[0].file_meta.TransferSyntaxUID == RLELossless
    assert next(generate_frames(out[0].PixelData, number_of_frames=1))


def test_uids_are_replaced_alike_in_all_files_and_by_the_key_alone(tmp_path):
    write_series(tmp_path / "in")
    out = export(tmp_path)
    assert {d.SeriesInstanceUID for d in out} == {keyed_uid(KEY, uid("a"))}
    assert {d.StudyInstanceUID for d in out} == {keyed_uid(KEY, uid("study"))}
    assert len({d.SOPInstanceUID for d in out}) == len(out)
    assert all(d.file_meta.MediaStorageSOPInstanceUID == d.SOPInstanceUID for d in out)
    again = export(tmp_path, "again")
    assert [d.SOPInstanceUID for d in again] == [d.SOPInstanceUID for d in out]
    assert [d.to_json() for d in again] == [d.to_json() for d in out]


def test_it_says_what_was_done(tmp_path):
    write_series(tmp_path / "in")
    dataset = export(tmp_path)[0]
    assert dataset.PatientIdentityRemoved == "YES"
    assert dataset.PatientID == keyed_hash(KEY, "patient", PATIENT)
    assert dataset.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
    assert "procedure" in dataset.DeidentificationMethod[2]
    assert dataset.LongitudinalTemporalInformationModified == "REMOVED"
    assert (dataset.StudyDate, dataset.PatientBirthDate, str(dataset.PatientName)) == ("", "", "")


def test_dates_are_shifted_as_in_the_results(tmp_path):
    write_series(tmp_path / "in", AcquisitionDate="20190517")
    dataset = export(tmp_path, dates="shift")[0]
    ct = tmp_path / "a/ct.nii.gz"
    ct.parent.mkdir()
    found = convert_scan(
        tmp_path / "in", ct, series_uid=None, limits=LIMITS, key=KEY, dates="shift"
    )
    assert (
        dataset.AcquisitionDate == dataset.StudyDate == found["acquisition_date"].replace("-", "")
    )
    assert dataset.AcquisitionDate < "20190517"
    assert dataset.LongitudinalTemporalInformationModified == "MODIFIED"
    codes = [item.CodeValue for item in dataset.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113107"]


@pytest.mark.parametrize(
    ("elements", "told"),
    [
        ({"BurnedInAnnotation": "YES"}, "text is burned into its pixels"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, "not a single-frame CT"),
    ],
)
def test_what_cannot_be_de_identified_is_refused_and_leaves_nothing(tmp_path, elements, told):
    write_series(tmp_path / "in", **elements)
    with pytest.raises(UserError, match=told):
        export(tmp_path)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / ".out.exporting").exists()


def test_an_overlay_inside_the_pixels_is_refused(tmp_path):
    for path in write_series(tmp_path / "in"):
        dataset = pydicom.dcmread(path)
        dataset.add_new((0x6000, 0x0102), "US", 12)
        dataset.save_as(path)
    with pytest.raises(UserError, match="overlay inside its pixels"):
        export(tmp_path)


def test_another_series_or_a_series_that_left_is_not_exported(tmp_path):
    write_series(tmp_path / "in", "b", positions=along_normal(4))
    with pytest.raises(UserError, match="not in the source any more"):
        export(tmp_path)
    write_series(tmp_path / "in")
    assert len(export(tmp_path)) == 10
    with pytest.raises(UserError, match="out exists; delete it"):
        export(tmp_path)
