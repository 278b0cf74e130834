"""The workflow: clean to its linters, right in its plan, clear about mistakes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def snakemake(*arguments):
    command = [BIN / "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", ROOT]
    return subprocess.run(
        [*map(str, command), *map(str, arguments)], capture_output=True, text=True, cwd=ROOT
    )


@pytest.fixture
def study(tmp_path):
    """A sheet of three scans (one with a mask, one with a reference) and its config."""
    (tmp_path / "scans.tsv").write_text(
        "scan_id\tdicom\troot_mask\treference_root_mask\n"
        "a\ta.nii.gz\t\t\nb\tb.nii.gz\tb_root.nii.gz\t\nc\tc.nii.gz\t\tc_root.nii.gz\n"
    )
    for name in ("a.nii.gz", "b.nii.gz", "c.nii.gz", "b_root.nii.gz", "c_root.nii.gz"):
        (tmp_path / name).touch()
    config = tmp_path / "config.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "sheet": str(tmp_path / "scans.tsv"),
                "results": str(tmp_path / "results"),
                "pseudonym_key_file": str(tmp_path / "key"),
                "private": str(tmp_path / "private"),
            }
        )
    )
    return config


def planned(output):
    return dict(re.findall(r"^(\w+) +(\d+)$", output, re.MULTILINE))


def test_lint_and_format_are_clean(study):
    lint = snakemake("--lint", "--configfile", study)
    assert lint.returncode == 0, lint.stdout + lint.stderr
    form = subprocess.run(
        [BIN / "snakefmt", "--check", ROOT / "Snakefile", ROOT / "rules"],
        capture_output=True,
        text=True,
    )
    assert form.returncode == 0, form.stderr


def test_the_plan_has_every_batch_once_and_masks_skip_the_networks(study):
    plan = snakemake("-n", "--cores", 2, "--configfile", study)
    assert plan.returncode == 0, plan.stdout + plan.stderr
    jobs = planned(plan.stdout + plan.stderr)
    steps = ("convert_batch", "downscale_batch", "localise_batch", "crop_batch", "segment_batch")
    steps += ("place_root", "measure_calcium", "compare_root", "draw_picture")
    assert {jobs[step] for step in steps} == {"1"}
    only_given = yaml.safe_load(study.read_text()) | {"batch_size": 1}
    study.write_text(yaml.safe_dump(only_given))
    plan = snakemake("-n", "--cores", 2, "--configfile", study)
    jobs = planned(plan.stdout + plan.stderr)
    assert jobs["convert_batch"] == jobs["measure_calcium"] == jobs["draw_picture"] == "3"
    assert jobs["downscale_batch"] == jobs["segment_batch"] == "2"
    assert jobs["compare_root"] == "1"


def test_training_is_planned_for_each_network_and_fold(study):
    plan = snakemake("-n", "--cores", 2, "--configfile", study, "--", "train")
    assert plan.returncode == 0, plan.stdout + plan.stderr
    jobs = planned(plan.stdout + plan.stderr)
    # One scan of the three has a reference; two networks, five folds, and one training on all.
    assert (jobs["convert_batch"], jobs["prepare_sample"]) == ("1", "2")
    assert (jobs["train_fold"], jobs["judge_fold"]) == ("12", "10")
    assert jobs["split_folds"] == jobs["summarise_training"] == "2"
    assert "measure_calcium" not in jobs


def test_one_rule_a_file_and_one_script_a_rule():
    for path in (ROOT / "rules").glob("*.smk"):
        rules = re.findall(r"^rule (\w+):", path.read_text(), re.MULTILINE)
        if path.stem == "common":
            assert not rules
        else:
            assert rules == [path.stem]
            assert (ROOT / "workflow_scripts" / f"{path.stem}.py").is_file()


def test_damaged_reviews_are_one_sentence_with_their_row(study, tmp_path):
    (tmp_path / "reviews.csv").write_text(
        "scan_id,verdict,comment,reviewer,time_utc\na,perhaps,,AB,2026-01-31T14:05:09Z\n"
    )
    config = yaml.safe_load(study.read_text()) | {"reviews": str(tmp_path / "reviews.csv")}
    study.write_text(yaml.safe_dump(config))
    run = snakemake("-n", "--configfile", study)
    assert run.returncode == 1
    assert "reviews.csv, row 2: verdict: 'perhaps' is not one of" in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sheet": "none.tsv"}, "The sheet none.tsv does not exist"),
        ({"measure": {"k": 3}}, "config: measure.k: 3"),
        ({"drift": {"baseline_scans": 3}}, "config: drift.baseline_scans: 3"),
    ],
)
def test_a_mistake_is_one_sentence_without_traceback(study, change, told):
    config = yaml.safe_load(study.read_text()) | change
    study.write_text(yaml.safe_dump(config))
    run = snakemake("-n", "--configfile", study)
    assert run.returncode == 1
    assert told in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr


def test_the_slurm_profile_plans_the_same_chain(study):
    plan = snakemake("-n", "--profile", "slurm", "--executor", "local", "--configfile", study)
    assert plan.returncode == 0, plan.stdout + plan.stderr
    assert planned(plan.stdout + plan.stderr)["segment_batch"] == "1"


def test_environments_agree_with_the_lock():
    locked = dict(
        re.findall(
            r"^([a-z0-9-]+)==([^ ;\\]+)",
            (ROOT / "envs/requirements.lock").read_text(),
            re.MULTILINE,
        )[::-1]
    )
    for path in (ROOT / "envs").glob("*.yaml"):
        needs = yaml.safe_load(path.read_text())["dependencies"][-1]["pip"]
        for need in needs:
            name, version = need.split("==")
            assert locked[name] == version, (path.name, name)


def test_the_lock_has_a_hash_for_every_package():
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / "envs" / name).read_text()
        packages = re.split(r"\n(?=[a-z0-9])", text)
        assert len(packages) > 50
        assert all("--hash=sha256:" in package for package in packages if "==" in package)
        assert "index-url" not in text


def test_docs_agree_with_schemas_and_code():
    from calcohort.dictionary import data_dictionary, outcome_list
    from calcohort.phantom.defects.table import defects_page

    assert (ROOT / "docs/data_dictionary.md").read_text() == data_dictionary()
    assert (ROOT / "docs/outcomes.md").read_text() == outcome_list()
    assert (ROOT / "docs/defects.md").read_text() == defects_page()


def test_a_reference_of_a_score_that_is_not_computed_is_a_mistake(study):
    config = yaml.safe_load(study.read_text())
    sheet = Path(config["sheet"])
    head, *rows = sheet.read_text().splitlines()
    with_scores = [f"{head}\treference_score_B", *(f"{row}\t120" for row in rows)]
    sheet.write_text("\n".join(with_scores) + "\n")
    run = snakemake("-n", "--configfile", study)
    assert run.returncode == 1
    assert "The sheet has reference_score" in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr
    study.write_text(yaml.safe_dump(config | {"scores": {"passport": True}}))
    assert snakemake("-n", "--configfile", study).returncode == 0
