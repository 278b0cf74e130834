"""How the whole chain did on phantoms of unseen seeds: the tables of docs/evaluation.md."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from calcohort.agreement.agreement import RULES, agreement_table
from calcohort.agreement.statistics import agree
from calcohort.evaluation.acceptance import Line, acceptance, network_cost
from calcohort.outcomes import UserError, atomic_path
from calcohort.phantom.cohort import TEMPLATE
from calcohort.report.published import THRESHOLD_30_SCANS, THRESHOLD_NOTE
from calcohort.tables import read_table

PHYSICAL = {"calcium_volume_mm3": "physical_volume_mm3"}
COMPARED = {
    "dice": ("Dice", 3),
    "iou": ("IoU", 3),
    "assd_mm": ("mean surface distance (mm)", 2),
    "hd95_mm": ("95 % surface distance (mm)", 2),
    "volume_error_mm3": ("root volume error (mm³)", 0),
    "box_coverage": ("share of the root in the box", 4),
    "volume_in_found_root_mm3": ("F7 volume in the found root (mm³)", 1),
    "volume_in_reference_root_mm3": ("F7 volume in the true root (mm³)", 1),
}
NONE = "–"
SEVERE_MM3 = 400.0

HEAD = """\
# Evaluation on phantoms

Written by `evaluate_phantoms.py`: {n} phantoms of seeds that no network was trained on went
through the whole chain (DICOM, conversion, both networks, measurement). Phantoms are simplified
scans; what they show of real scans is how the chain works, not how well it would do there.
Errors are automatic − reference, R² is about the identity line.
"""


def write_evaluation(tables: Path, sheet: Path, out: Path) -> list[Line]:
    """Write the evaluation of one run as Markdown.

    Parameters
    ----------
    tables : Path
        The run's ``cohort/`` folder with scans.csv, calcium.csv and segmentation.csv.
    sheet : Path
        The phantoms' ``scans.tsv``. Rows without `reference_threshold_hu` (scans with a defect)
        are not evaluated.
    out : Path
        The Markdown file.

    Returns
    -------
    list of Line
        The acceptance lines. A scan without a value that it should have leaves its lines unmet.

    Raises
    ------
    UserError
        When a table is missing or the tables are of other scans than the sheet.
    """
    truth = _read(sheet, lambda path: pd.read_csv(path, sep="\t", dtype={"scan_id": str}))
    truth = truth.dropna(subset=["reference_threshold_hu"])
    scans, calcium, segmentation = (
        _read(Path(tables) / f"{name}.csv", read_table)
        for name in ("scans", "calcium", "segmentation")
    )
    if missing := sorted(set(truth["scan_id"]) - set(scans["scan_id"])):
        raise UserError(f"{tables} lacks {', '.join(missing)} of {sheet}: run the workflow on it")
    truth = truth if "family" in truth else truth.assign(family=TEMPLATE)
    found = (
        truth[["scan_id", "family"]]
        .merge(scans[["scan_id", "status", "reason", "luminance_hu"]], on="scan_id")
        .merge(segmentation[["scan_id", *COMPARED]], on="scan_id", how="left")
    )
    lines = acceptance(found)
    sections = [
        HEAD.format(n=len(found)),
        "## Acceptance\n\n" + _acceptance_table(lines),
        "## Families and severe calcium\n\n" + _groups(found),
        "## What the networks cost\n\n" + _networks(found, calcium),
        "## Thresholds against the simulated reader\n\n" + _thresholds(calcium, truth),
        "## Volumes against the simulated reader\n\n" + _volumes(calcium, truth),
        "## Volumes against the physical volume\n\n" + _physical(calcium, truth),
        "## Each scan\n\n" + _each_scan(found, calcium, truth),
    ]
    with atomic_path(out) as temporary:
        temporary.write_text("\n".join(sections), encoding="utf-8")
    return lines


def _read(path: Path, read: Callable[[Path], pd.DataFrame]) -> pd.DataFrame:
    if not Path(path).is_file():
        raise UserError(f"{path} is missing: make the phantoms and run the workflow on them first")
    return read(path)


def _acceptance_table(lines: list[Line]) -> str:
    rows = [
        [line.asked, _measured(line), "met" if line.is_met else "**not met**"] for line in lines
    ]
    return _table(["asked", "measured", ""], rows)


def _measured(line: Line) -> str:
    lacking = f"; {line.missing} without" if line.missing else ""
    return _number(line.value, line.decimals) + lacking


def _networks(found: pd.DataFrame, calcium: pd.DataFrame) -> str:
    rows = []
    for column, (name, decimals) in COMPARED.items():
        values = found[column].dropna()
        summary = (values.mean(), values.std(), values.min(), values.max())
        rows.append([name, str(len(values)), *(_number(value, decimals) for value in summary)])
    cost = network_cost(found)
    return (
        _table(["", "n", "mean", "SD", "least", "most"], rows)
        + f"\nCalcium by F7 in the found root against F7 in the true root (n = {cost['n']}): "
        f"R² {_number(cost['r2'], 3)}, MAE {_number(cost['mae'], 2)} ± "
        f"{_number(cost['mae_sd'], 2)} mm³, bias {_number(cost['bias'], 2)} mm³.\n"
        + _interval(found, calcium)
    )


def _interval(found: pd.DataFrame, calcium: pd.DataFrame) -> str:
    both = found.merge(calcium[calcium["rule"] == "F7"], on="scan_id")
    both = both.dropna(subset=["volume_low_mm3", "volume_in_reference_root_mm3"])
    held = both["volume_in_reference_root_mm3"].between(
        both["volume_low_mm3"], both["volume_high_mm3"]
    )
    return (
        "The 95 % interval of F7's volume in the found root holds F7's volume in the true root of "
        f"{held.sum()} of {len(held)} scans.\n"
    )


def _groups(found: pd.DataFrame) -> str:
    reference_mm3 = found["volume_in_reference_root_mm3"]
    groups = {family: found["family"] == family for family in found["family"].unique()}
    groups |= {
        f"more than {SEVERE_MM3:.0f} mm³": reference_mm3 > SEVERE_MM3,
        f"at most {SEVERE_MM3:.0f} mm³": reference_mm3 <= SEVERE_MM3,
    }
    rows = []
    for name, members in groups.items():
        part = found[members]
        cost = network_cost(part)
        rows.append(
            [
                name,
                str(len(part)),
                str(int((part["status"] == "measured").sum())),
                *_numbers((part["dice"].mean(), part["dice"].min()), (3, 3)),
                *_numbers((part["hd95_mm"].mean(), part["box_coverage"].min()), (2, 4)),
                *_numbers([cost[key] for key in ("r2", "mae", "bias")], (3, 1, 1)),
            ]
        )
    names = ["n", "measured", "Dice, mean", "Dice, least", "95 % surface distance (mm)"]
    names += ["box, least", "F7 volume, R²", "MAE (mm³)", "bias (mm³)"]
    return (
        "Severe is F7's volume in the true root. Means and least values are of the scans that have "
        "a found root; the volumes are F7's in the found against the true root.\n\n"
        + _table(["", *names], rows)
    )


def _thresholds(calcium: pd.DataFrame, truth: pd.DataFrame) -> str:
    reader_hu = truth["reference_threshold_hu"]
    table = agreement_table(
        calcium, truth, columns={"threshold_hu": "reference_threshold_hu"}
    ).set_index("rule")
    rows = []
    for rule in RULES:
        ours, paper = table.loc[rule], THRESHOLD_30_SCANS[rule]
        decimals = (2, 2, 2, 2)
        mine = _numbers(ours[["r2", "mae", "mae_sd", "error_range"]], decimals)
        rows.append([rule, str(ours["n"]), *mine, *_numbers(paper, decimals)])
    names = ["R²", "MAE", "SD", "range"]
    return (
        f"The simulated reader chose {reader_hu.mean():.0f} ± {reader_hu.std():.0f} HU "
        "(the paper's radiologists 667 ± 127 HU). The reader knows no formula: it takes the lowest "
        "threshold at which the bright spots of the lumen leave the overlay. MAE, SD and range of "
        "the absolute error in HU; beside them the paper's Table 2 (30 clinical scans).\n\n"
        + _table(["rule", "n", *names, *(f"paper's {name}" for name in names)], rows)
        + f"\n{THRESHOLD_NOTE}\n"
    )


def _volumes(calcium: pd.DataFrame, truth: pd.DataFrame) -> str:
    columns = {"calcium_volume_mm3": "reference_volume_mm3"}
    return _volume_table(agreement_table(calcium, truth, columns=columns))


def _physical(calcium: pd.DataFrame, truth: pd.DataFrame) -> str:
    table = agreement_table(calcium, truth, columns=PHYSICAL, reference="physical")
    reader = agree(truth["reference_volume_mm3"], truth["physical_volume_mm3"])
    reader_row = pd.DataFrame([{"rule": "simulated reader"} | reader])
    return (
        "The physical volume is that of the deposits before the scanner blurs them; no clinical "
        "study can know it.\n\n" + _volume_table(pd.concat([table, reader_row]))
    )


def _volume_table(table: pd.DataFrame) -> str:
    keys = ["r2", "pearson_r", "mae", "mae_sd", "error_range", "bias", "loa_low", "loa_high"]
    decimals = (2, 2, 1, 1, 1, 1, 1, 1)
    rows = [
        [row["rule"], str(row["n"]), *_numbers(row[keys], decimals)] for _, row in table.iterrows()
    ]
    names = ["R²", "Pearson r", "MAE", "SD", "range", "bias", "lower limit", "upper limit"]
    return "All but R² and r in mm³.\n\n" + _table(["rule", "n", *names], rows)


def _each_scan(found: pd.DataFrame, calcium: pd.DataFrame, truth: pd.DataFrame) -> str:
    f7 = calcium.loc[calcium["rule"] == "F7", ["scan_id", "threshold_hu"]]
    table = found.merge(truth, on="scan_id").merge(f7, on="scan_id", how="left")
    columns = {
        "luminance_hu": ("Lm (HU)", 0),
        "threshold_hu": ("F7 (HU)", 0),
        "reference_threshold_hu": ("reader (HU)", 0),
        "volume_in_found_root_mm3": ("F7, found root (mm³)", 1),
        "volume_in_reference_root_mm3": ("F7, true root (mm³)", 1),
        "reference_volume_mm3": ("reader (mm³)", 1),
        "physical_volume_mm3": ("physical (mm³)", 1),
        "box_coverage": ("root in the box", 4),
        "dice": ("Dice", 3),
    }
    rows = [
        [
            row["scan_id"],
            row["status"] if pd.isna(row["reason"]) else f"{row['status']}: {row['reason']}",
            *(_number(row[column], decimals) for column, (_, decimals) in columns.items()),
        ]
        for _, row in table.iterrows()
    ]
    return _table(["scan", "outcome", *(name for name, _ in columns.values())], rows)


def _numbers(values, decimals: tuple[int, ...]) -> list[str]:
    return [_number(value, places) for value, places in zip(values, decimals, strict=True)]


def _number(value: float | None, decimals: int) -> str:
    """Round for a cell; a minus sign where it is negative, a dash where there is no number."""
    if value is None or pd.isna(value):
        return NONE
    return f"{round(value, decimals) + 0.0:.{decimals}f}".replace("-", "−")


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
