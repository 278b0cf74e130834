"""The key of the pseudonyms: its places, its strength, and one key for a study."""

import os
from multiprocessing import get_context

import pytest
from calcohort.keys import (
    PUBLIC_KEY,
    check_key,
    check_phantom,
    establish_key,
    fingerprint,
    study_key,
)
from calcohort.outcomes import UserError
from calcohort.study import ROOT

GOOD = "0123456789abcdef" * 4


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.delenv("CALCOHORT_KEY", raising=False)
    (tmp_path / "results").mkdir()
    return {
        "results": str(tmp_path / "results"),
        "pseudonym_key_file": str(tmp_path / "safe/key"),
    }


def write_key(settings, text, mode=0o600):
    path = os.path.abspath(settings["pseudonym_key_file"])
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)


def test_a_new_study_has_its_key_made_once_and_kept_to_its_owner(settings, tmp_path):
    key = establish_key(settings)
    assert len(key) == 64
    assert (tmp_path / "safe/key").stat().st_mode & 0o777 == 0o600
    assert establish_key(settings) == study_key(settings) == key
    assert [path.name for path in (tmp_path / "safe").iterdir()] == ["key"]


def test_the_fingerprint_does_not_tell_the_key(settings, tmp_path):
    key = establish_key(settings)
    told = (tmp_path / "results/key_fingerprint.txt").read_text().strip()
    assert told == fingerprint(key)
    assert key.decode() not in told


def test_runs_that_start_at_once_take_one_key(settings, tmp_path):
    studies = [settings | {"results": str(tmp_path / f"results-{n}")} for n in range(8)]
    with get_context("spawn").Pool(4) as pool:
        assert len(set(pool.map(establish_key, studies))) == 1


def test_a_job_never_makes_a_key(settings):
    with pytest.raises(UserError, match="does not exist"):
        study_key(settings)


def test_a_plan_makes_no_key_and_tells_a_weak_one(settings, monkeypatch, tmp_path):
    check_key(settings)
    assert list(tmp_path.iterdir()) == [tmp_path / "results"]
    monkeypatch.setenv("CALCOHORT_KEY", "short")
    with pytest.raises(UserError, match="CALCOHORT_KEY is empty"):
        check_key(settings)


def test_a_lost_key_is_not_replaced(settings, tmp_path):
    establish_key(settings)
    (tmp_path / "safe/key").unlink()
    with pytest.raises(UserError, match="does not exist; put the study's key there"):
        establish_key(settings)


def test_another_key_is_refused(settings, monkeypatch):
    establish_key(settings)
    monkeypatch.setenv("CALCOHORT_KEY", GOOD)
    for read in (establish_key, study_key, check_key):
        with pytest.raises(UserError, match=r"not the one that .* was made with"):
            read(settings)


@pytest.mark.parametrize("weak", ["", "short", "a" * 64, PUBLIC_KEY.decode()])
def test_a_weak_key_is_refused_from_the_environment_and_from_a_file(settings, monkeypatch, weak):
    write_key(settings, weak)
    with pytest.raises(UserError, match="at least 32 random characters"):
        establish_key(settings)
    monkeypatch.setenv("CALCOHORT_KEY", weak)
    with pytest.raises(UserError, match="CALCOHORT_KEY is empty"):
        establish_key(settings)


def test_a_key_that_others_can_read_is_refused_with_the_command_that_mends_it(settings):
    write_key(settings, GOOD, 0o640)
    with pytest.raises(UserError, match=r"mode 0640.*chmod go-rwx"):
        establish_key(settings)
    write_key(settings, GOOD)
    assert establish_key(settings) == GOOD.encode()


@pytest.mark.parametrize("place", ["results", "repository"])
def test_a_key_inside_the_results_or_the_repository_is_refused(settings, place):
    folder = settings["results"] if place == "results" else str(ROOT / "private")
    with pytest.raises(UserError, match=f"lies inside the {place}"):
        establish_key(settings | {"pseudonym_key_file": f"{folder}/key"})
    assert not os.path.exists(f"{folder}/key")


def test_phantoms_need_no_secret_and_admit_no_real_scan(settings):
    key = establish_key(settings | {"phantoms_only": True})
    check_phantom(key, "Calcohort")
    check_phantom(GOOD.encode(), "Maker")
    for maker in ("Maker", ""):
        with pytest.raises(UserError, match="set phantoms_only to false"):
            check_phantom(key, maker)
