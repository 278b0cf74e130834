"""What logs tell, and what they keep to the private folder."""

import logging
import warnings

import pytest
from calcohort.logs import Discreet, job_log
from calcohort.outcomes import UserError
from calcohort.private import private_log

NAME = "DOE^JOHN"


def logged(tmp_path, say, private=True):
    """Texts of the results' log and of the private one."""
    log = tmp_path / "results/logs/convert_batch/batch-00001.log"
    log.parent.mkdir(parents=True)
    with pytest.raises(SystemExit), job_log(log, tmp_path / "private" if private else None):
        say()
    hidden = tmp_path / "private/logs/convert_batch/batch-00001.log"
    return log.read_text(), hidden.read_text() if hidden.exists() else ""


def crash():
    raise ValueError(f"no number: {NAME}")


def warn():
    warnings.warn(f"odd value {NAME}", stacklevel=1)
    logging.getLogger("pydicom").warning("odd value %s", NAME)
    private_log.warning("odd file %s", NAME)
    raise UserError("the weights are missing")


def test_of_an_unforeseen_error_the_log_tells_type_and_place_alone(tmp_path, capfd):
    told, kept = logged(tmp_path, crash)
    assert "ValueError" in told
    assert "in crash" in told
    assert NAME not in told + capfd.readouterr().err
    assert f"ValueError: no number: {NAME}" in kept
    assert (tmp_path / "private/logs/convert_batch/batch-00001.log").stat().st_mode & 0o777 == 0o600


def test_what_libraries_say_is_private(tmp_path, capfd):
    told, kept = logged(tmp_path, warn)
    assert told.count("\n") == 1
    assert told.endswith("ERROR the weights are missing\n")
    assert NAME not in told + capfd.readouterr().err
    assert kept.count(NAME) == 3


def test_a_job_that_reads_results_alone_tells_errors_in_full(tmp_path):
    told, kept = logged(tmp_path, crash, private=False)
    assert f"ValueError: no number: {NAME}" in told
    assert kept == ""


def test_an_old_private_log_goes_when_nothing_is_to_be_kept(tmp_path):
    old = tmp_path / "private/logs/convert_batch/batch-00001.log"
    old.parent.mkdir(parents=True)
    old.write_text(NAME)

    def sentence():
        raise UserError("the weights are missing")

    assert logged(tmp_path, sentence)[1] == ""


class Resources(list):
    """Stands for the engine's lists that are read by name."""


def test_paths_of_the_sheet_become_scan_and_column_in_the_engines_records():
    sheet = {
        "a": {"dicom": "/data/Doe, John", "root_mask": "/data/Doe, John/root.nii.gz", "age": 7.0},
        "b": {"dicom": "/data/Doe"},
    }
    record = logging.LogRecord("snakemake.logging", logging.INFO, "", 0, None, None, None)
    record.msg = "Reason: updated /data/Doe, John/root.nii.gz, /data/Doe, John"
    record.input, record.jobid = ["/data/Doe", "results/scans/a/ct.nii.gz"], 3
    record.resources = Resources([4000])
    assert Discreet(sheet).filter(record)
    assert record.msg == "Reason: updated (root_mask of a), (dicom of a)"
    assert record.input == ["(dicom of b)", "results/scans/a/ct.nii.gz"]
    assert (record.jobid, type(record.resources)) == (3, Resources)
    record.reason = "Params have changed since last execution: before: '/old/Doe' now: '/new'"
    Discreet(sheet).filter(record)
    assert record.reason == "Params have changed since last execution"
