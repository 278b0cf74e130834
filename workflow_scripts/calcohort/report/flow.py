"""The flow of scans through the stages, in and out with reasons, as inline SVG.

After the flow diagrams of STROBE and CONSORT: down the left side how many scans are left, beside
it who ended where and why. Every scan of the sheet is counted exactly once.
"""

import textwrap
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup, escape

from calcohort.outcomes import EXCLUDED, FAILED, Reason
from calcohort.reviews import ACCEPTED, OUTDATED

STAGES = {
    "convert": "Converted: one verified CT series each",
    "downscale": "Downscaled",
    "localise": "Aortic root localised",
    "crop": "Cropped around the root",
    "segment": "Aortic root segmented",
    "root": "Aortic root found or given",
    "measure": "Calcium measured",
    "review": "Kept after review",
}
"""The stages in their order, and what is true of the scans that have passed one."""

ALWAYS = ("convert", "root", "measure")
LAST = ("measure", "review")

WIDTH, LEFT_WIDTH, RIGHT_X = 780, 300, 360
PAD, LINE, GAP = 12, 19, 22
SIDE_COLUMNS, SPINE_COLUMNS = 54, 40


@dataclass(frozen=True)
class Step:
    """One stage of the flow: who ended here, and how many went on.

    Attributes
    ----------
    stage, label : str
        The stage, and what is true of the scans that passed it.
    left : int
        Scans that passed it.
    losses : list of (str, str, int)
        Status, reason and number of the scans that ended here.
    """

    stage: str
    label: str
    left: int
    losses: list[tuple[str, str, int]]


def meaning(reason: str) -> str:
    """Return the sentence of a reason; an unknown reason speaks for itself."""
    return Reason(reason).meaning if reason in set(Reason) else reason


def count_flow(scans: pd.DataFrame) -> list[Step]:
    """Count the scans that each stage lost.

    Parameters
    ----------
    scans : DataFrame
        `scan_id`, `status` (measured, excluded, failed), `stage`, `reason`.

    Returns
    -------
    list of Step
        Stages in their order; those that lost no scan are left out, except `ALWAYS` and a review
        that took place.

    Raises
    ------
    ValueError
        When the scans left at the end are not the measured ones.
    """
    ended = scans[scans["status"].isin([EXCLUDED, FAILED])]
    unknown = sorted(set(ended["stage"]) - set(STAGES))
    order = [stage for stage in STAGES if stage not in LAST] + unknown + list(LAST)
    left, steps = len(scans), []
    for stage in order:
        here = ended[ended["stage"] == stage]
        counts = here.groupby(["status", "reason"], sort=True, dropna=False).size()
        losses = [(status, str(reason), int(n)) for (status, reason), n in counts.items()]
        losses.sort(key=lambda loss: (loss[0], -loss[2], loss[1]))
        left -= len(here)
        label = STAGES.get(stage, f"Passed {stage}")
        if stage == "review" and (looked_at := _verdicts(scans)):
            steps.append(Step(stage, f"{label}, {looked_at}", left, losses))
        elif losses or stage in ALWAYS:
            steps.append(Step(stage, label, left, losses))
    if left != (measured := int((scans["status"] == "measured").sum())):
        raise ValueError(
            f"{left} scans are left at the end of the flow, but {measured} are measured"
        )
    return steps


def _verdicts(scans: pd.DataFrame) -> str:
    """Say how many measured scans were accepted and looked at; nothing where nobody has looked."""
    if "review" not in scans or scans["review"].isna().all():
        return ""
    kept = scans.loc[scans["status"] == "measured", "review"]
    unseen = kept.isna() | (kept == OUTDATED)
    return f"{(kept == ACCEPTED).sum()} accepted, {unseen.sum()} not looked at"


def flow_diagram(scans: pd.DataFrame) -> Markup:
    """Draw the flow of scans; see `count_flow` for the table's columns and the errors."""
    steps = count_flow(scans)
    parts, y = [], 1
    height = _box(parts, 1, y, LEFT_WIDTH, [f"Scans in the sheet (n = {len(scans)})"], "spine")
    y += height
    for step in steps:
        lines = _loss_lines(step)
        side = (2 * PAD + LINE * len(lines)) if lines else 0
        space = max(side + GAP, 2 * GAP)
        middle = LEFT_WIDTH / 2
        parts.append(_arrow(middle, y, middle, y + space))
        if lines:
            parts.append(_arrow(middle, y + space / 2, RIGHT_X, y + space / 2))
            _box(parts, RIGHT_X, y + (space - side) / 2, WIDTH - RIGHT_X - 1, lines, "side")
        y += space
        label = textwrap.wrap(f"{step.label} (n = {step.left})", SPINE_COLUMNS)
        kind = "end" if step is steps[-1] else "spine"
        y += _box(parts, 1, y, LEFT_WIDTH, label, kind)
    body = Markup("\n").join(parts)
    return Markup(
        '<svg class="flow" role="img" aria-labelledby="flow-title flow-desc" '
        'viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">\n'
        '<title id="flow-title">Flow of scans</title>\n<desc id="flow-desc">{desc}</desc>\n'
        '<defs><marker id="flow-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#4a5560"/></marker></defs>\n'
        "{body}\n</svg>"
    ).format(width=WIDTH, height=int(y + 2), desc=_describe(len(scans), steps), body=body)


def _describe(total: int, steps: list[Step]) -> str:
    sentences = [f"{total} scans in the sheet."]
    for step in steps:
        sentences += [
            f"{n} {status} at {step.stage}: {meaning(r)}." for status, r, n in step.losses
        ]
    return " ".join([*sentences, f"{steps[-1].left} scans measured."])


def _loss_lines(step: Step) -> list[str]:
    lines = []
    for status in (EXCLUDED, FAILED):
        losses = [loss for loss in step.losses if loss[0] == status]
        if losses:
            total = sum(n for *_, n in losses)
            lines.append(f"{status.capitalize()} at {step.stage} (n = {total})")
        for _, reason, n in losses:
            text = f"{n} × {meaning(reason)}"
            lines += textwrap.wrap(text, SIDE_COLUMNS, subsequent_indent="\u2003\u2002")
    return lines


BOXES = {
    "spine": ("#ffffff", "#4a5560"),
    "end": ("#e7f1f8", "#0b5c94"),
    "side": ("#f6f4f0", "#9b9384"),
}


def _box(parts: list[Markup], x: float, y: float, width: float, lines: list[str], kind: str) -> int:
    """Append a box with lines of text; return its height."""
    height = 2 * PAD + LINE * len(lines)
    fill, edge = BOXES[kind]
    parts.append(
        Markup('<rect x="{}" y="{}" width="{}" height="{}" rx="4" fill="{}" stroke="{}"/>').format(
            x, y, width, height, fill, edge
        )
    )
    centred = kind != "side"
    anchor, left = ("middle", x + width / 2) if centred else ("start", x + PAD)
    for number, line in enumerate(lines):
        weight = 600 if kind == "end" or line.startswith(("Excluded at", "Failed at")) else 400
        parts.append(
            Markup(
                '<text x="{}" y="{}" text-anchor="{}" font-size="14" font-weight="{}" '
                'fill="#1c2227">{}</text>'
            ).format(left, y + PAD + LINE * number + 14, anchor, weight, escape(line))
        )
    return height


def _arrow(x1: float, y1: float, x2: float, y2: float) -> Markup:
    return Markup(
        '<line x1="{}" y1="{}" x2="{}" y2="{}" stroke="#4a5560" stroke-width="1.3" '
        'marker-end="url(#flow-arrow)"/>'
    ).format(x1, y1, x2, y2)
