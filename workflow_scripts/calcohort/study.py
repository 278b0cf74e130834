"""What a study is made of: settings, sheet, batches; mistakes are told in sentences."""

import csv
import functools
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError

from calcohort.outcomes import UserError, atomic_path

ROOT = Path(__file__).parents[2]
MOST_PROBLEMS = 20
IDENTIFYING_COLUMNS = frozenset(
    "name patientname firstname lastname givenname familyname surname birthdate patientbirthdate "
    "dateofbirth birthday dob patientid mrn medicalrecordnumber accession accessionnumber "
    "studyinstanceuid seriesinstanceuid address telephone phone email ssn".split()
)


@functools.cache
def read_schema(name: str) -> dict[str, Any]:
    """Read `schemas/{name}.schema.yaml`; the result is shared and not to be changed."""
    path = ROOT / "schemas" / f"{name}.schema.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def read_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Lay the study's config over its protocol's values and check the whole.

    Raises
    ------
    UserError
        With all problems, when the protocol is unknown or a key is wrong.
    """
    name = config.get("protocol", "aortic_root")
    path = ROOT / "protocols" / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml")))
        raise UserError(f"config: protocol '{name}' is unknown; choose one of: {known}")
    protocol = yaml.safe_load(path.read_text(encoding="utf-8"))
    settings = _overlay(protocol, config)
    problems = [
        f"config: {'.'.join(map(str, error.path)) or 'top level'}: {error.message}"
        for error in Draft202012Validator(read_schema("config")).iter_errors(settings)
    ]
    problems = problems or _of_other_weights(settings, protocol, config)
    if bool(settings.get("sheet")) == bool(settings.get("dicom_root")):
        problems.append("config: give either sheet or dicom_root, and leave the other empty")
    _raise_all(problems)
    return settings


def _of_other_weights(settings: Mapping, protocol: Mapping, config: Mapping) -> list[str]:
    """Refuse other weights than the protocol's with what the protocol's were trained on."""
    return [
        f"config: {stage}.network has other weights than the protocol: name the ranges that they "
        f"were trained on as `trained_on: {{{stage}: FILE}}`, or null where these are not known"
        for stage in protocol["trained_on"]
        if settings[stage]["network"]["sha256"] != protocol[stage]["network"]["sha256"]
        and stage not in config.get("trained_on", {})
    ]


def generated_sheet(settings: Mapping[str, Any]) -> Path:
    """Path of the sheet that the index of `dicom_root` writes."""
    return Path(settings["private"], "scans.tsv")


def sheet_of(settings: Mapping[str, Any]) -> Path:
    """Path of the study's sheet: the given one, or that of the index.

    Raises
    ------
    UserError
        When the index has not been made.
    """
    if settings.get("sheet"):
        return Path(settings["sheet"])
    path = generated_sheet(settings)
    if not path.is_file():
        raise UserError(
            f"There is no {path} yet: run `python workflow_scripts/index_series.py` first, with "
            "the same --configfile, so that the scans under dicom_root are found."
        )
    return path


def read_config(above: Path | None = None) -> dict[str, Any]:
    """Read config.yaml with the file `above` laid over it, as snakemake's `--configfile` does.

    Raises
    ------
    UserError
        When a file is missing.
    """
    config: dict[str, Any] = {}
    for path in filter(None, (ROOT / "config.yaml", above)):
        if not Path(path).is_file():
            raise UserError(f"The config {path} does not exist; name it with --configfile.")
        config = _overlay(config, yaml.safe_load(Path(path).read_text(encoding="utf-8")))
    return config


def settings_hash(settings: Mapping[str, Any]) -> str:
    """SHA-256 of what decides the numbers: without paths, device, batching, training and look.

    Weights count by their own SHA-256, not by where they lie. What they were trained on decides no
    number: it flags scans.
    """
    without = {"sheet", "results", "device", "batch_size", "pseudonym_key_file", "training", "node"}
    without |= {"private", "link_table", "dates", "phantoms_only", "dicom_root", "settle_minutes"}
    without |= {"reviews", "report", "paper", "drift", "trained_on"}
    deciding = {key: value for key, value in settings.items() if key not in without}
    for stage in ("localise", "segment"):
        if stage in deciding:
            network = {k: v for k, v in deciding[stage]["network"].items() if k != "weights"}
            deciding[stage] = deciding[stage] | {"network": network}
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


def read_sheet(path: Path) -> dict[str, dict[str, Any]]:
    """Read and check the sheet.

    Returns
    -------
    dict
        `scan_id` to its row, in the sheet's order: numbers as float, empty cells as None, paths
        made absolute from the sheet's folder.

    Raises
    ------
    UserError
        With all problems (missing column, bad number, duplicate scan_id), each with its row.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(
            f"The sheet {path} does not exist. Write one (README, 'Your own scans') and name it in "
            "config.yaml under `sheet`."
        )
    schema = read_schema("sheet")
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, delimiter="\t")
            columns, lines = reader.fieldnames or [], list(reader)
    except UnicodeDecodeError as error:
        raise UserError(f"{path.name}: not UTF-8 text ({error}); save it as UTF-8.") from error
    missing = [column for column in schema["required"] if column not in columns]
    if missing:
        raise UserError(
            f"{path.name}: column {', '.join(missing)} is missing; found {', '.join(columns)}. "
            "Columns are separated by tabs."
        )
    validator = Draft202012Validator(schema)
    rows, problems = {}, _identifying(path, columns)
    for number, line in enumerate(lines, start=2):
        row = {column: _cell(text, schema, column) for column, text in line.items() if column}
        filled = {column: value for column, value in row.items() if value is not None}
        problems += [
            f"{path.name}, row {number}: {'.'.join(map(str, e.path)) or 'row'}: {_told(e)}"
            for e in validator.iter_errors(filled)
        ]
        if None in line:
            problems.append(f"{path.name}, row {number}: more cells than columns")
        scan_id = row["scan_id"]
        if scan_id in rows:
            problems.append(f"{path.name}, row {number}: scan_id is used twice")
        for column, declared in schema["properties"].items():
            if declared.get("format") == "path" and row.get(column):
                row[column] = str((path.parent / row[column]).absolute())
        rows[scan_id] = row
    if not lines:
        problems.append(f"{path.name}: no scans; every row below the header is one scan")
    _raise_all(problems)
    return rows


def check_score_references(
    sheet: Mapping[str, Mapping[str, Any]], settings: Mapping[str, Any]
) -> None:
    """Refuse references of scores that the study does not compute.

    Raises
    ------
    UserError
        When the sheet holds a mass or a score and the settings leave it out.
    """
    given = {column for row in sheet.values() for column, value in row.items() if value is not None}
    scores = settings["scores"]
    needs = {
        "reference_score": ("passport: true", scores["passport"]),
        "reference_mass_mg": (
            "passport: true, mass_calibration: …",
            scores["passport"] and scores["mass_calibration"],
        ),
    }
    for column, (needed, fulfilled) in needs.items():
        if not fulfilled and any(name.startswith(column) for name in given):
            raise UserError(
                f"The sheet has {column}, which is compared with nothing as long as config.yaml "
                f"lacks `scores: {{{needed}}}`; set it or leave the column out."
            )


def read_scan_ids(path: Path) -> list[str]:
    """Read only the scans' identities, in the sheet's order, without a check of the other columns.

    Raises
    ------
    UserError
        When the sheet is missing or has no column `scan_id`.
    """
    if not Path(path).is_file():
        raise UserError(f"The sheet {path} does not exist; name it in config.yaml under `sheet`.")
    with Path(path).open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream, delimiter="\t")
        if "scan_id" not in (reader.fieldnames or []):
            raise UserError(f"{Path(path).name}: column scan_id is missing.")
        return [row["scan_id"].strip() for row in reader]


def _identifying(path: Path, columns: Iterable[str]) -> list[str]:
    """Refuse columns that name a patient: all further columns travel to the results."""
    return [
        f"{path.name}: column {column} names a patient and would be copied into the results; "
        "leave it out"
        for column in columns
        if re.sub("[^a-z]", "", column.lower()) in IDENTIFYING_COLUMNS
    ]


def _told(error: ValidationError) -> str:
    """Tell what is wrong with a cell, without a scan_id that may be a name."""
    if error.validator == "pattern":
        return "letters, digits, '_', '.' and '-' are allowed, beginning with a letter or digit"
    return error.message


def _cell(text: str | None, schema: dict, column: str) -> Any:
    text = (text or "").strip()
    if not text:
        return None
    declared = schema["properties"].get(column) or next(
        (d for name, d in schema["patternProperties"].items() if re.search(name, column)), {}
    )
    if declared.get("type") == "number":
        try:
            return float(text)
        except ValueError:
            return text
    return text


def read_batches(path: Path, scan_ids: list[str], size: int) -> dict[str, list[str]]:
    """Sort scans into batches: known scans stay where they are, new ones open new batches.

    Parameters
    ----------
    path : Path
        Table `batch, scan_id` of earlier runs; may be missing.
    scan_ids : list of str
        The scans of today's sheet, in its order.
    size : int
        The most scans of a new batch.

    Returns
    -------
    dict
        Batch name to the scan ids of today's sheet in it; no batch is empty.
    """
    known = {}
    if Path(path).is_file():
        with Path(path).open(newline="", encoding="utf-8") as stream:
            known = {r["scan_id"]: r["batch"] for r in csv.DictReader(stream, delimiter="\t")}
    first = 1 + max((int(batch.removeprefix("batch-")) for batch in known.values()), default=0)
    new = [scan_id for scan_id in scan_ids if scan_id not in known]
    for position, scan_id in enumerate(new):
        known[scan_id] = f"batch-{first + position // size:05d}"
    batches: dict[str, list[str]] = {}
    for scan_id in scan_ids:
        batches.setdefault(known[scan_id], []).append(scan_id)
    return batches


def write_batches(path: Path, batches: Mapping[str, list[str]]) -> None:
    """Remember the batches; scans that left the sheet keep theirs."""
    members = {scan_id: batch for batch, scans in batches.items() for scan_id in scans}
    if Path(path).is_file():
        with Path(path).open(newline="", encoding="utf-8") as stream:
            known = {r["scan_id"]: r["batch"] for r in csv.DictReader(stream, delimiter="\t")}
        members = known | members
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, delimiter="\t", lineterminator="\n")
        writer.writerow(["batch", "scan_id"])
        writer.writerows(sorted((batch, scan_id) for scan_id, batch in members.items()))


def _overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(below.get(key), Mapping)
        merged[key] = _overlay(below[key], value) if both else value
    return merged


def _raise_all(problems: list[str]) -> None:
    if problems:
        more = len(problems) - MOST_PROBLEMS
        tail = [f"… and {more} more"] if more > 0 else []
        raise UserError("\n".join(problems[:MOST_PROBLEMS] + tail))
