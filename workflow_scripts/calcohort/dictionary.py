"""The data dictionary and the list of outcomes, written from the schemas and the code."""

from typing import Any

from calcohort.outcomes import Reason
from calcohort.study import read_schema

TABLES = (
    "sheet",
    "series",
    "reviews",
    "scans",
    "calcium",
    "scores",
    "segmentation",
    "agreement",
    "categories",
    "laboratory",
    "k_fits",
    "associations",
    "control_charts",
)


def data_dictionary() -> str:
    """Markdown with every column of every table users write or read, from `schemas/`."""
    parts = [
        "# Data dictionary",
        "",
        "Written by `make docs` from `schemas/`; not edited by hand.",
        "",
    ]
    for name in TABLES:
        schema = read_schema(name)
        needed = schema.get("required", [])
        parts += [f"## {schema['title']}", "", schema["description"].strip(), ""]
        parts += ["| column | type | unit | always | meaning |", "|---|---|---|---|---|"]
        parts += [
            f"| `{column}` | {_type(declared)} | {declared.get('unit', '')} "
            f"| {'yes' if column in needed else ''} | {declared['description']} |"
            for column, declared in [*schema["properties"].items(), *_patterns(schema)]
        ]
        parts.append("")
    return "\n".join(parts)


def outcome_list() -> str:
    """Markdown with the closed list of reasons."""
    parts = [
        "# Outcomes",
        "",
        "Written by `make docs` from `calcohort/outcomes.py`; not edited by hand.",
        "",
        "`measured`: all stages went well. `excluded`: a foreseeable reason below. `failed`: an",
        "unforeseen error (`crashed`), with the traceback in the log of the scan's stage.",
        "",
        "| reason | meaning |",
        "|---|---|",
    ]
    return "\n".join(parts + [f"| `{r.value}` | {r.meaning} |" for r in Reason]) + "\n"


def _patterns(schema: dict[str, Any]) -> list[tuple[str, Any]]:
    """Columns that are named by a pattern, their regular expression bare and safe in a table."""
    named = schema.get("patternProperties", {}).items()
    return [(name.strip("^$").replace("|", "\\|"), declared) for name, declared in named]


def _type(declared: dict[str, Any]) -> str:
    if "enum" in declared:
        return ", ".join("empty" if v is None else f"`{v}`" for v in declared["enum"])
    if declared.get("format") == "path":
        return "path"
    types = declared["type"] if isinstance(declared["type"], list) else [declared["type"]]
    return " or ".join("empty" if name == "null" else name for name in types)
