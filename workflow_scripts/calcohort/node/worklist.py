"""Pull the CT of a worklist: each row ends with an outcome, each image is counted.

Images go to ``{folder}/{StudyInstanceUID}/{SeriesInstanceUID}/{SOPInstanceUID}.dcm``, whole or not
at all, so that what is there is complete and a pull that was interrupted goes on where it stopped.
"""

import csv
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from calcohort.node.node import Node, NodeTrouble, patiently
from calcohort.outcomes import UserError, atomic_path
from calcohort.study import read_schema

KEYWORDS = {
    "patient_id": "PatientID",
    "accession_number": "AccessionNumber",
    "study_uid": "StudyInstanceUID",
    "study_date": "StudyDate",
}
COLUMNS = ("scan_id", *KEYWORDS, "series_uid")
UID = re.compile(r"[0-9.]{1,64}")
WILDCARDS = re.compile(r"[*?\\]")
ROUNDS = ((0, 512), (1, 32), (2, 1))
"""Of a series: seconds to wait before, and the most images asked for at once."""
MOST_TROUBLES = 3
"""In a row, after which a round is given up."""

PULLED, NOT_FOUND, SEVERAL = "pulled", "not_found", "several_studies"
NO_CT, INCOMPLETE, CHANGED, FAILED = "no_ct", "incomplete", "changed", "failed"
OUTCOMES = {
    PULLED: "all announced images are there",
    NOT_FOUND: "the node has no such study, or the study no such series",
    SEVERAL: "several studies fit; add study_uid, accession_number or study_date",
    NO_CT: "the study has no CT series",
    INCOMPLETE: "the node announced more images than it sent, after three rounds",
    CHANGED: "the folder holds images that the node has no more; remove the study's folder",
    FAILED: "the node was in trouble, three times; run again",
}


@dataclass
class Pull:
    """What became of one row of the worklist; `dicom` is relative to the folder."""

    row: int
    scan_id: str = ""
    outcome: str = ""
    detail: str = ""
    images_announced: int = 0
    images_received: int = 0
    dicom: str = ""
    asked: dict[str, str] = field(default_factory=dict)


def read_worklist(path: Path) -> list[dict[str, str]]:
    """Read and check a worklist, a tab-separated table of `COLUMNS`.

    Returns
    -------
    list of dict
        The filled cells of each row, with its line's `row` number as text.

    Raises
    ------
    UserError
        With every problem and its row.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"The worklist {path} does not exist.")
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream, delimiter="\t")
        unknown = set(reader.fieldnames or []) - set(COLUMNS)
        if unknown:
            raise UserError(
                f"{path.name}: columns {', '.join(sorted(unknown))} are unknown; known are "
                f"{', '.join(COLUMNS)}, separated by tabs."
            )
        rows = [
            {"row": str(number)} | {c: text.strip() for c, text in line.items() if text}
            for number, line in enumerate(reader, start=2)
        ]
    problems = [f"{path.name}, row {r['row']}: {p}" for r in rows for p in _problems(r)]
    named = [row["scan_id"] for row in rows if "scan_id" in row]
    problems += [
        f"{path.name}: scan_id '{name}' is used twice"
        for name in sorted({n for n in named if named.count(n) > 1})
    ]
    if not rows:
        problems.append(f"{path.name}: no rows")
    if problems:
        raise UserError("\n".join(problems[:20]))
    return rows


def pull_worklist(
    node: Node, rows: list[dict[str, str]], folder: Path, report: Callable[[str], None]
) -> list[Pull]:
    """Pull every row, one after the other, and write `pulled.tsv` and `scans.tsv`.

    Parameters
    ----------
    node : Node
        The archive.
    rows : list of dict
        From `read_worklist`.
    folder : Path
        Where images and tables go.
    report : callable
        Takes a line for each row, without names.

    Returns
    -------
    list of Pull
        Of all rows, in their order; fewer where the pull was interrupted.
    """
    pulls: list[Pull] = []
    try:
        for number, row in enumerate(rows, start=1):
            pull = _pull(node, row, folder)
            pulls.append(pull)
            report(f"{number} of {len(rows)}, row {pull.row}: {pull.outcome} {pull.detail}".strip())
    finally:
        _write_tables(folder, pulls)
    return pulls


def _problems(row: Mapping[str, str]) -> Iterator[str]:
    if not {"patient_id", "accession_number", "study_uid"} & set(row):
        yield "names no patient_id, accession_number or study_uid"
    for column in KEYWORDS:
        if WILDCARDS.search(row.get(column, "")):
            yield f"{column} holds a wildcard (*, ? or \\)"
    for column in ("study_uid", "series_uid"):
        if column in row and not UID.fullmatch(row[column]):
            yield f"{column} is no UID"
    if not re.fullmatch(r"\d{8}", row.get("study_date", "20000101")):
        yield "study_date is not written YYYYMMDD"
    pattern = read_schema("sheet")["properties"]["scan_id"]["pattern"]
    if not re.fullmatch(pattern, row.get("scan_id", "s")):
        yield "scan_id holds other than letters, digits, '_', '.', '-'"


def _pull(node: Node, row: Mapping[str, str], folder: Path) -> Pull:
    asked = {column: row[column] for column in (*KEYWORDS, "series_uid") if column in row}
    pull = Pull(int(row["row"]), row.get("scan_id", ""), asked=asked)
    try:
        _pull_study(node, pull, folder)
    except NodeTrouble as trouble:
        pull.outcome, pull.detail = FAILED, str(trouble)
    return pull


def _pull_study(node: Node, pull: Pull, folder: Path) -> None:
    wanted = {KEYWORDS[c]: text for c, text in pull.asked.items() if c in KEYWORDS}
    found = patiently(lambda: node.studies(wanted))
    exact = {
        study["StudyInstanceUID"]
        for study in found
        if all(study[keyword].strip() == text for keyword, text in wanted.items())
    }
    if len(exact) != 1:
        pull.outcome = SEVERAL if exact else NOT_FOUND
        pull.detail = f"{len(exact)} studies" if exact else ""
        return
    study_uid = _safe(exact.pop())
    series = patiently(lambda: node.series(study_uid))
    if "series_uid" in pull.asked:
        series = [s for s in series if s.uid == pull.asked["series_uid"]]
        if not series:
            pull.outcome, pull.detail = NOT_FOUND, "the study has no such series"
            return
    series = [s for s in series if s.modality == "CT"]
    if not series:
        pull.outcome = NO_CT
        return
    extra, troubles = 0, []
    for one in series:
        announced = patiently(lambda uid=one.uid: node.images(study_uid, uid))
        target = folder / study_uid / _safe(one.uid)
        troubles.append(_pull_series(node, study_uid, one.uid, announced, target))
        there = _there(target)
        pull.images_announced += len(announced)
        pull.images_received += len(there & announced)
        extra += len(there - announced)
    complete = pull.images_received == pull.images_announced > 0
    pull.outcome = (CHANGED if extra else PULLED) if complete else INCOMPLETE
    told = [f"{pull.images_received} of {pull.images_announced} images"]
    pull.detail = "; ".join([*told, *sorted({str(trouble) for trouble in troubles if trouble})])
    pull.dicom = str(Path(study_uid, *([series[0].uid] if "series_uid" in pull.asked else [])))


def _pull_series(
    node: Node, study_uid: str, uid: str, announced: set[str], target: Path
) -> NodeTrouble | None:
    """Fetch what is missing of a series; return the last trouble, if images are missing still.

    The whole is asked for at once, then the missing ones in smaller groups, at last one by one: an
    image that the node cannot send must not keep the others back.
    """
    target.mkdir(parents=True, exist_ok=True)

    def keep(image_uid: str, content: bytes) -> bool:
        if image_uid not in announced:
            return False
        with atomic_path(target / f"{_safe(image_uid)}.dcm") as temporary:
            temporary.write_bytes(content)
        return True

    trouble = None
    for wait_s, most in ROUNDS:
        left = sorted(announced - _there(target))
        if not left:
            return None
        time.sleep(wait_s)
        whole = len(left) == len(announced) <= most
        troubles = 0
        for first in range(0, len(left), most):
            try:
                node.fetch(study_uid, uid, left[first : first + most], whole, keep)
                troubles = 0
            except NodeTrouble as problem:
                trouble, troubles = problem, troubles + 1
            if troubles == MOST_TROUBLES:
                break
    return trouble if announced - _there(target) else None


def _there(target: Path) -> set[str]:
    return {path.stem for path in target.glob("*.dcm")}


def _safe(uid: str) -> str:
    """Return a UID that is fit to be a file's name.

    Raises
    ------
    NodeTrouble
        When the node answered with anything else.
    """
    if not UID.fullmatch(uid) or set(uid) == {"."}:
        raise NodeTrouble("the node answers with a UID that is none")
    return uid


def _write_tables(folder: Path, pulls: list[Pull]) -> None:
    """Write `pulled.tsv`, every row, and `scans.tsv`, a sheet of the rows that have a scan_id."""
    told = [f.name for f in fields(Pull) if f.name != "asked"]
    lines = [{**asdict(pull), **pull.asked} for pull in pulls]
    _write_table(folder / "pulled.tsv", [*told, *KEYWORDS, "series_uid"], lines)
    scans = [
        {"scan_id": pull.scan_id, "dicom": pull.dicom}
        for pull in pulls
        if pull.scan_id and pull.outcome == PULLED
    ]
    if scans:
        _write_table(folder / "scans.tsv", ["scan_id", "dicom"], scans)


def _write_table(path: Path, columns: list[str], lines: list[dict]) -> None:
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(
            out, columns, delimiter="\t", lineterminator="\n", extrasaction="ignore"
        )
        writer.writeheader()
        writer.writerows(lines)
