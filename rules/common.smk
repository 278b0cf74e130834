import contextlib
import logging
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(Path(workflow.basedir, "workflow_scripts")))

from calcohort.finished import ANY_SCAN, Finished, pattern
from calcohort.keys import check_key, establish_key
from calcohort.laboratory.formula import check_formulas
from calcohort.lock import lock_results
from calcohort.logs import Discreet, TimeLeft
from calcohort.outcomes import UserError
from calcohort.private import private_folder
from calcohort.study import read_batches, read_settings, read_sheet, write_batches
from calcohort.versions import STAGE_VERSIONS

try:
    SETTINGS = read_settings(config)
    SHEET = read_sheet(SETTINGS["sheet"])
    check_formulas(SETTINGS["laboratory"]["rules"])
    if workflow.is_main_process:
        check_key(SETTINGS)
except UserError as mistake:
    raise WorkflowError(str(mistake))
logging.getLogger("snakemake.logging").addFilter(Discreet(SHEET))

RESULTS = SETTINGS["results"]
SCAN = f"{RESULTS}/scans/{{scan_id}}"
BATCH = f"{RESULTS}/batches/{{batch}}"
COHORT = f"{RESULTS}/cohort"
STORE = f"{RESULTS}/training/store/{{network}}"
TRAINED = f"{RESULTS}/training/{{network}}"
LOGS = f"{RESULTS}/logs"
BATCH_TABLE = Path(RESULTS, "batches.tsv")
NETWORK_THREADS = workflow.resource_settings.cores or 8
GPUS = 1 if SETTINGS["device"] == "gpu" else 0

REFERENCES = ("reference_root_mask", "reference_calcium_mask")
GIVEN = {scan_id for scan_id, row in SHEET.items() if row.get("root_mask")}
COMPARED = [scan_id for scan_id, row in SHEET.items() if any(map(row.get, REFERENCES))]
BATCHES = read_batches(
    BATCH_TABLE,
    [scan_id for scan_id in SHEET if scan_id not in GIVEN],
    SETTINGS["batch_size"],
)
TRAINING = SETTINGS["training"]
LEARNED = [scan_id for scan_id, row in SHEET.items() if row.get("reference_root_mask")]
VIEW = {
    "factor_kji": SETTINGS["downscale"]["factor_kji"],
    "crop_shape_kji": SETTINGS["crop"]["shape_kji"],
    "pad_value_hu": SETTINGS["crop"]["pad_value_hu"],
}
BATCH_OF = {scan_id: batch for batch, members in BATCHES.items() for scan_id in members}

LARGE = workflow.is_main_process and len(SHEET) > SETTINGS["plan_in_full"]
FINISHED = Finished(RESULTS, SETTINGS, SHEET, BATCHES) if LARGE else None
SCANS_TO_PLAN = pattern(FINISHED.open_scans, len(SHEET)) if FINISHED else ANY_SCAN


def growing(first):
    """A function that asks for `first` at the first attempt and for as much more at each retry."""
    return lambda wildcards, attempt: first * attempt


def remember_finished():
    """Note which scans this run leaves finished; the next plan of a large cohort is without them."""
    if not FINISHED or not {"mtime", "params", "input", "code"} <= {
        trigger.name.lower() for trigger in workflow.rerun_triggers
    }:
        return
    planned = {"draw_picture": set(), "compare_root": set()}
    for job in workflow.dag.jobs:
        if job.rule.name in planned:
            planned[job.rule.name].add(job.wildcards.scan_id)
    unfinished = {
        scan_id
        for job in workflow.dag.needrun_jobs()
        for scan_id in (
            BATCHES[job.wildcards.batch]
            if "batch" in job.wildcards.keys()
            else [job.wildcards.get("scan_id")]
        )
    }
    drawn, compared = planned["draw_picture"], planned["compare_root"]
    FINISHED.remember(drawn - (set(COMPARED) - compared), unfinished)


def prepare_results():
    """Refuse a second run at a time and a wrong key; keep the engine's notes to their owner."""
    try:
        lock_results(RESULTS)
        private_folder(SETTINGS)
        establish_key(SETTINGS)
        with contextlib.suppress(PermissionError):
            Path(".snakemake").chmod(0o700)
    except UserError as mistake:
        raise WorkflowError(str(mistake))


def finish():
    """Remember what is finished; append to the link table where it is asked for."""
    remember_finished()
    if SETTINGS["link_table"]:
        from calcohort.links import append_links

        try:
            append_links(SETTINGS, SHEET)
        except UserError as mistake:
            logger.error(f"link_table: {mistake}")


def existing(scan_id, *columns):
    """Files that the sheet names for a scan and that exist; a missing one is the stage's to tell."""
    paths = (SHEET[scan_id].get(column) for column in columns)
    return [path for path in paths if path and Path(path).exists()]


def of_members(pattern):
    """A function that lists `pattern` for the scans of a batch."""
    return lambda wildcards: expand(pattern, scan_id=BATCHES[wildcards.batch])


def of_learned(pattern):
    """A function that lists `pattern` for the scans that a network learns from."""
    return lambda wildcards: expand(pattern, scan_id=LEARNED, **wildcards)


def learned_masks():
    """The reference roots that exist, of the scans that a network learns from."""
    return [
        path for scan_id in LEARNED for path in existing(scan_id, "reference_root_mask")
    ]


def of_folds(name):
    """A function that lists the file `name` of a network's folds."""
    return lambda wildcards: expand(
        f"{TRAINED}/fold-{{fold}}/{name}",
        fold=range(1, TRAINING["folds"] + 1),
        **wildcards,
    )


def training_of(wildcards):
    """The settings of one network's training."""
    others = {"networks", "processes", "unet1", "unet2"} - {wildcards.network}
    return {key: value for key, value in TRAINING.items() if key not in others}


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
