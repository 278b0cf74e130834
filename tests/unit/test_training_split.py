import pytest
from calcohort.outcomes import UserError
from calcohort.training.split import read_split, split_by_patient, write_split


def cohort(count):
    """Scans s0, s1 …, each of its own patient, all of them learnable."""
    names = [f"s{number}" for number in range(count)]
    scans = {name: {"patient": None, "fold": None} for name in names}
    samples = {
        name: {"status": "ok", "shape_blocks_kji": [32, 40, 48], "ct_sha256": f"image of {name}"}
        for name in names
    }
    series = {name: {"patient_hash": f"patient of {name}"} for name in names}
    return scans, samples, series


def split(scans, samples, series, folds=5, depth=5, seed=0):
    return split_by_patient(scans, samples, series, folds=folds, depth=depth, seed=seed)


def test_every_scan_is_in_one_fold_and_folds_are_even():
    fold_of = split(*cohort(11))
    sizes = [list(fold_of.values()).count(fold) for fold in range(1, 6)]
    assert sorted(sizes) == [2, 2, 2, 2, 3]
    assert list(fold_of) == [f"s{number}" for number in range(11)]
    assert fold_of == split(*cohort(11)) != split(*cohort(11), seed=1)


def test_a_patients_scans_stay_together_by_sheet_and_by_dicom():
    scans, samples, series = cohort(12)
    for name in ("s1", "s2", "s3"):
        scans[name]["patient"] = "P1"
    series["s5"]["patient_hash"] = series["s6"]["patient_hash"]
    for seed in range(20):
        fold_of = split(scans, samples, series, seed=seed)
        assert fold_of["s1"] == fold_of["s2"] == fold_of["s3"]
        assert fold_of["s5"] == fold_of["s6"]


def test_the_sites_own_folds_are_kept():
    scans, samples, series = cohort(4)
    for name, fold in zip(scans, (2.0, 1.0, 1.0, 2.0), strict=True):
        scans[name]["fold"] = fold
    assert list(split(scans, samples, series, folds=2).values()) == [2, 1, 1, 2]


def test_all_problems_are_told_at_once():
    scans, samples, series = cohort(10)
    samples["s0"] |= {"status": "excluded", "reason": "mask_empty", "detail": "root.nii.gz holds 0"}
    samples["s1"] |= {"status": "excluded", "reason": "mask_on_other_grid", "detail": "moved"}
    samples["s2"]["shape_blocks_kji"] = [31, 40, 48]
    scans["s3"]["patient"], scans["s4"]["patient"] = "A", "B"
    series["s3"]["patient_hash"] = series["s4"]["patient_hash"]
    samples["s5"]["ct_sha256"] = samples["s6"]["ct_sha256"]
    for number, name in enumerate(scans):
        scans[name]["fold"] = 1.0 + number % 4
    scans["s7"]["patient"] = scans["s8"]["patient"] = "C"
    with pytest.raises(UserError) as refused:
        split(scans, samples, series)
    title, *told = str(refused.value).splitlines()
    assert title == "no training:"
    assert told == [
        "s0: mask_empty: root.nii.gz holds 0",
        "s1: mask_on_other_grid: moved",
        "s2: 31 × 40 × 48 blocks (k, j, i) are less than the network's step of 32; "
        "lower its depth or block_kji, or leave the scan out",
        "s3 and s4 have the same DICOM patient, but the sheet names different patients: "
        "they would leak from one fold into another",
        "s5 and s6 are the same image, but the sheet names different patients: "
        "they would leak from one fold into another",
        "s7 and s8 are one patient's, but in different folds of the sheet: the patient would leak",
        "fold 5 of 5 is empty: 9 patients; lower `training.folds` or add patients",
    ]


def test_too_few_patients_and_no_scan_are_refused():
    with pytest.raises(UserError, match="fold 4, 5 of 5 is empty: 3 patients"):
        split(*cohort(3))
    with pytest.raises(UserError, match="no scan of the sheet has a reference_root_mask"):
        split({}, {}, {})


def test_a_fold_for_some_scans_only_is_refused():
    scans, samples, series = cohort(6)
    scans["s2"]["fold"] = 1.0
    with pytest.raises(UserError, match="names no fold for s0, s1, s3, s4, s5"):
        split(scans, samples, series)


def test_the_split_is_read_as_written(tmp_path):
    write_split(tmp_path / "split.csv", {"a": 2, "b-1": 1})
    assert (tmp_path / "split.csv").read_bytes() == b"scan_id,fold\na,2\nb-1,1\n"
    assert read_split(tmp_path / "split.csv") == {"a": 2, "b-1": 1}
