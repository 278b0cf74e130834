"""The private folder: its owner's alone, one study's alone."""

import pytest
from calcohort.outcomes import UserError
from calcohort.private import make_private, open_private, private_folder


def study(tmp_path, name="results"):
    return {"results": str(tmp_path / name), "private": str(tmp_path / "private")}


def test_folder_and_files_are_their_owners_alone(tmp_path):
    folder = private_folder(study(tmp_path))
    with open_private(folder / "logs/convert_scan/a.log") as file:
        file.write("Doe")
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.rglob("*")}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert modes["a.log"] == modes["results.txt"] == 0o600
    assert modes["convert_scan"] == 0o700


def test_a_folder_that_others_can_enter_is_refused(tmp_path):
    (tmp_path / "private").mkdir(mode=0o755)
    with pytest.raises(UserError, match=r"mode 0755.*chmod go-rwx"):
        make_private(tmp_path / "private")


def test_a_study_has_a_folder_of_its_own_outside_its_results(tmp_path):
    private_folder(study(tmp_path))
    private_folder(study(tmp_path))
    with pytest.raises(UserError, match="belongs to the study in"):
        private_folder(study(tmp_path, "other"))
    with pytest.raises(UserError, match="lies inside the results"):
        private_folder({"results": str(tmp_path), "private": str(tmp_path / "private")})
