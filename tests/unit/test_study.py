"""The study's set-up: mistakes are told with their place, all at once."""

import pytest
import yaml
from calcohort.outcomes import UserError
from calcohort.study import (
    ROOT,
    read_batches,
    read_settings,
    read_sheet,
    settings_hash,
    write_batches,
)


def config(**changes):
    return yaml.safe_load((ROOT / "config.yaml").read_text()) | changes


def sheet(tmp_path, text):
    path = tmp_path / "scans.tsv"
    path.write_text(text)
    return path


def test_the_shipped_config_is_right_and_overrides_its_protocol():
    assert read_settings(config())["measure"]["k"] == 0.2
    settings = read_settings(config(measure={"k": 0.25}))
    assert settings["measure"]["k"] == 0.25
    assert settings["measure"]["cube_sides_mm"] == [12.5, 9.76, 9.76]


@pytest.mark.parametrize(("stage", "network"), [("localise", "unet1"), ("segment", "unet2")])
def test_a_training_may_start_from_the_shipped_weights(stage, network):
    settings = read_settings(config())
    for shape in ("filters", "depth", "block_kji"):
        assert settings["training"][network][shape] == settings[stage]["network"][shape]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"measure": {"k": 2}}, r"measure\.k: 2 is greater"),
        ({"devise": "gpu"}, "devise"),
        ({"protocol": "brain"}, "'brain' is unknown; choose one of: aortic_root"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_a_wrong_setting_is_named(change, told):
    with pytest.raises(UserError, match=told):
        read_settings(config(**change))


@pytest.mark.parametrize("known", ["mine/ranges.yaml", None])
def test_other_weights_need_what_they_were_trained_on(known):
    other = {"segment": {"network": {"weights": "mine.h5", "sha256": "a" * 64}}}
    with pytest.raises(UserError, match=r"segment\.network has other weights .*trained_on"):
        read_settings(config(**other))
    with pytest.raises(UserError, match=r"segment\.network has other weights"):
        read_settings(config(**other, trained_on={"localise": known}))
    settings = read_settings(config(**other, trained_on={"segment": known}))
    assert settings["trained_on"] == {"localise": "models/ranges.yaml", "segment": known}
    moved = {"segment": {"network": {"weights": "elsewhere.h5"}}}
    assert read_settings(config(**moved))["trained_on"]["segment"] == "models/ranges.yaml"


def test_the_hash_follows_what_decides_the_numbers_only():
    one = settings_hash(read_settings(config()))
    assert one == settings_hash(read_settings(config(results="elsewhere", device="gpu")))
    assert one == settings_hash(read_settings(config(trained_on={"segment": None})))
    assert one != settings_hash(read_settings(config(measure={"k": 0.25})))


def test_a_sheet_is_typed_and_its_paths_start_at_its_folder(tmp_path):
    path = sheet(tmp_path, "scan_id\tdicom\tage\tcentre\n007\ta/b\t71\tRome\n")
    row = read_sheet(path)["007"]
    assert row["age"] == 71.0
    assert row["dicom"] == str(tmp_path / "a/b")
    assert row["centre"] == "Rome"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("scan_id\tfolder\na\tx\n", "column dicom is missing"),
        ("scan_id,dicom\na,x\n", "separated by tabs"),
        ("scan_id\tdicom\tage\na\tx\told\n", "row 2: age: 'old' is not of type 'number'"),
        ("scan_id\tdicom\treference_volume_mm3\na\tx\t-3\n", "row 2: reference_volume_mm3"),
        ("scan_id\tdicom\na\tx\na\ty\n", "row 3: scan_id is used twice"),
        ("scan_id\tdicom\na/../b\tx\n", "row 2: scan_id"),
        ("scan_id\tdicom\na\t\n", "row 2: row: 'dicom' is a required property"),
        ("scan_id\tdicom\tbirth_date\na\tx\t1950\n", "column birth_date names a patient"),
        ("scan_id\tdicom\tPatient ID\na\tx\t7\n", "column Patient ID names a patient"),
        ("scan_id\tdicom\n", "no scans"),
        ("scan_id\tdicom\na\tx\tmore\n", "row 2: more cells than columns"),
    ],
)
def test_a_mistake_in_the_sheet_is_told_with_its_row(tmp_path, text, told):
    with pytest.raises(UserError, match=told):
        read_sheet(sheet(tmp_path, text))


def test_a_name_for_a_scan_id_is_not_repeated(tmp_path):
    with pytest.raises(UserError) as caught:
        read_sheet(sheet(tmp_path, "scan_id\tdicom\nDOE^JOHN\tx\nDOE^JOHN\ty\n"))
    assert "row 2: scan_id: letters, digits" in str(caught.value)
    assert "DOE" not in str(caught.value)


def test_all_mistakes_are_told_at_once(tmp_path):
    with pytest.raises(UserError) as caught:
        read_sheet(sheet(tmp_path, "scan_id\tdicom\tsex\na\tx\tQ\na\tx\tF\n"))
    assert len(str(caught.value).splitlines()) == 2


def test_a_missing_sheet_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"does not exist.*config\.yaml"):
        read_sheet(tmp_path / "none.tsv")


def test_new_scans_never_move_old_ones(tmp_path):
    table = tmp_path / "batches.tsv"
    first = read_batches(table, ["a", "b", "c"], size=2)
    assert first == {"batch-00001": ["a", "b"], "batch-00002": ["c"]}
    write_batches(table, first)
    second = read_batches(table, ["new", "c", "a", "b"], size=2)
    assert second == {"batch-00003": ["new"], "batch-00002": ["c"], "batch-00001": ["a", "b"]}
    write_batches(table, read_batches(table, ["new"], size=2))
    assert read_batches(table, ["c", "x"], size=2) == {"batch-00002": ["c"], "batch-00004": ["x"]}
