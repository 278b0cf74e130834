import logging
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(Path(workflow.basedir, "workflow_scripts")))

from calcohort.laboratory.formula import check_formulas
from calcohort.lock import lock_results
from calcohort.logs import TimeLeft
from calcohort.outcomes import UserError
from calcohort.study import read_batches, read_settings, read_sheet, write_batches
from calcohort.versions import STAGE_VERSIONS

try:
    SETTINGS = read_settings(config)
    SHEET = read_sheet(SETTINGS["sheet"])
    check_formulas(SETTINGS["laboratory"]["rules"])
except UserError as mistake:
    raise WorkflowError(str(mistake))

RESULTS = SETTINGS["results"]
SCAN = f"{RESULTS}/scans/{{scan_id}}"
BATCH = f"{RESULTS}/batches/{{batch}}"
COHORT = f"{RESULTS}/cohort"
LOGS = f"{RESULTS}/logs"
BATCH_TABLE = Path(RESULTS, "batches.tsv")
GPUS = 1 if SETTINGS["device"] == "gpu" else 0

REFERENCES = ("reference_root_mask", "reference_calcium_mask")
GIVEN = {scan_id for scan_id, row in SHEET.items() if row.get("root_mask")}
COMPARED = [scan_id for scan_id, row in SHEET.items() if any(map(row.get, REFERENCES))]
BATCHES = read_batches(
    BATCH_TABLE,
    [scan_id for scan_id in SHEET if scan_id not in GIVEN],
    SETTINGS["batch_size"],
)
BATCH_OF = {scan_id: batch for batch, members in BATCHES.items() for scan_id in members}


def lock_results_here():
    """Refuse a second run at a time in the results folder."""
    try:
        lock_results(RESULTS)
    except UserError as mistake:
        raise WorkflowError(str(mistake))


def existing(scan_id, *columns):
    """Files that the sheet names for a scan and that exist; a missing one is the stage's to tell."""
    paths = (SHEET[scan_id].get(column) for column in columns)
    return [path for path in paths if path and Path(path).exists()]


def of_members(pattern):
    """A function that lists `pattern` for the scans of a batch."""
    return lambda wildcards: expand(pattern, scan_id=BATCHES[wildcards.batch])


def of_batch(stage):
    """A function that names a batch's folder of `stage` for one of its scans."""
    return lambda wildcards: f"{RESULTS}/batches/{BATCH_OF[wildcards.scan_id]}/{stage}"


def root_source(wildcards):
    """Where a scan's root comes from: the mask of the sheet, or the networks."""
    if wildcards.scan_id in GIVEN:
        record = {"upstream": f"{SCAN}/series.json"}
        given = existing(wildcards.scan_id, "root_mask")
        return record | ({"given": given} if given else {})
    return {
        "upstream": f"{SCAN}/crop.json",
        "segmented": of_batch("segment")(wildcards),
    }
