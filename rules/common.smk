import contextlib
import logging
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(Path(workflow.basedir, "workflow_scripts")))

from calcohort.applicability import shared_ranges
from calcohort.at_work import forgive
from calcohort.keys import check_key, establish_key
from calcohort.laboratory.formula import check_formulas
from calcohort.lock import lock_results
from calcohort.logs import Discreet, TimeLeft
from calcohort.outcomes import UserError
from calcohort.private import private_folder
from calcohort.report import ASSETS
from calcohort.reviews import read_reviews
from calcohort.seal import forget_deleted
from calcohort.study import (
    check_score_references,
    read_batches,
    read_settings,
    read_sheet,
    sheet_of,
    write_batches,
)
from calcohort.versions import STAGE_VERSIONS

try:
    SETTINGS = read_settings(config)
    SHEET_PATH = str(sheet_of(SETTINGS))
    SHEET = read_sheet(SHEET_PATH)
    check_score_references(SHEET, SETTINGS)
    check_formulas(SETTINGS["laboratory"]["rules"])
    read_reviews(SETTINGS["reviews"])
    if workflow.is_main_process:
        check_key(SETTINGS)
except UserError as mistake:
    raise WorkflowError(str(mistake))
logging.getLogger("snakemake.logging").addFilter(Discreet(SHEET))

RESULTS = SETTINGS["results"]
SCANS = f"{RESULTS}/scans"
BATCH = f"{RESULTS}/batches/{{batch}}"
COHORT = f"{RESULTS}/cohort"
STORE = f"{RESULTS}/training/store/{{network}}"
TRAINED = f"{RESULTS}/training/{{network}}"
LOGS = f"{RESULTS}/logs"
BATCH_TABLE = Path(RESULTS, "batches.tsv")
CORES = workflow.resource_settings.cores or 8
GPUS = 1 if SETTINGS["device"] == "gpu" else 0
NETWORK_THREADS = min(CORES, 4) if GPUS else CORES
SCAN_THREADS = min(CORES, 8)

REFERENCES = ("reference_root_mask", "reference_calcium_mask")
GIVEN = {scan_id for scan_id, row in SHEET.items() if row.get("root_mask")}
BATCHES = read_batches(BATCH_TABLE, list(SHEET), SETTINGS["batch_size"])
BATCH_OF = {scan_id: batch for batch, members in BATCHES.items() for scan_id in members}


def members(chosen):
    """The batches with scans that are `chosen`, and these scans."""
    found = {b: [s for s in scans if chosen(s)] for b, scans in BATCHES.items()}
    return {batch: scans for batch, scans in found.items() if scans}


BY_NETWORK = members(lambda scan_id: scan_id not in GIVEN)
COMPARED = members(lambda scan_id: any(map(SHEET[scan_id].get, REFERENCES)))
try:
    RANGES = shared_ranges(SETTINGS["trained_on"].values()) if BY_NETWORK else None
except UserError as mistake:
    raise WorkflowError(str(mistake))
TRAINING = SETTINGS["training"]
REVIEWS = [SETTINGS["reviews"]] if Path(SETTINGS["reviews"]).is_file() else []
LEARNED = [scan_id for scan_id, row in SHEET.items() if row.get("reference_root_mask")]
SPACING_MM = SETTINGS["resample"]["spacing_mm"]
VIEW = {
    "spacing_mm": SPACING_MM,
    "factor_kji": SETTINGS["downscale"]["factor_kji"],
    "crop_shape_kji": SETTINGS["crop"]["shape_kji"],
    "pad_value_hu": SETTINGS["crop"]["pad_value_hu"],
}
CUBE = {
    key: SETTINGS["measure"][key]
    for key in ("cube_sides_mm", "min_cube_in_root", "max_bright_fraction")
    if key in SETTINGS["measure"]
}
LEARNED_SEALS = [
    f"{RESULTS}/batches/{batch}/convert.json"
    for batch in dict.fromkeys(BATCH_OF[scan_id] for scan_id in LEARNED)
]

if workflow.is_main_process:
    forget_deleted(RESULTS, BATCHES)


def growing(first):
    """A function that asks for `first` at the first attempt and for as much more at each retry."""
    return lambda wildcards, attempt: first * attempt


def per_worker(mb):
    """A function that asks for `mb` for each scan at a time; a retry tries some alone (pool.py)."""
    return lambda wildcards, threads, attempt: mb * (threads + attempt - 1)


def per_scan(minutes):
    """A function that asks for `minutes` for each scan of the batch, more at each retry."""
    return lambda wildcards, attempt: (
        attempt * (10 + minutes * len(BATCHES[wildcards.batch]))
    )


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


def write_links():
    """Append to the link table where it is asked for."""
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


def of_rows(*columns):
    """A function that lists the existing files of a batch's rows."""
    return lambda wildcards: [
        path
        for scan_id in BATCHES[wildcards.batch]
        for path in existing(scan_id, *columns)
    ]


def by_network(**files):
    """A function that names a batch's `files`, where some of its scans go through the networks."""
    return lambda wildcards: {
        name: f"{BATCH}/{file}"
        for name, file in files.items()
        if wildcards.batch in BY_NETWORK
    }


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
