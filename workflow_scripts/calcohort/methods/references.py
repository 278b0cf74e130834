"""References: kept in `references.yaml`, cited by key, written for readers and for BibTeX.

A text cites by marks, `[@bland1986]` or `[@bland1986;@bland1999]`.
"""

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

MARK = re.compile(r"\[(@[a-z0-9]+(?:;@[a-z0-9]+)*)\]")
MOST_AUTHORS = 6
FIELDS = ("title", "journal", "booktitle", "publisher", "year", "volume", "number", "pages", "doi")


@functools.cache
def library() -> Mapping[str, dict[str, Any]]:
    """All references: key to its fields; shared and not to be changed."""
    path = Path(__file__).with_name("references.yaml")
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def of_package(name: str) -> str | None:
    """Key of the reference for a package."""
    return next((key for key, entry in library().items() if entry.get("package") == name), None)


def cited(text: str) -> list[str]:
    """Keys of the references that a text cites, each once, in the order of its marks."""
    keys = [key.removeprefix("@") for mark in MARK.findall(text) for key in mark.split(";")]
    return list(dict.fromkeys(keys))


def number_marks(text: str) -> str:
    """Write the marks of a text as numbers, `[1, 2]`, in the order of `cited`."""
    numbers = {f"@{key}": str(n) for n, key in enumerate(cited(text), start=1)}
    return MARK.sub(lambda m: f"[{', '.join(numbers[key] for key in m[1].split(';'))}]", text)


def reference_list(text: str) -> list[str]:
    """Write out the references of a text, in the order of `cited`, as medical journals do."""
    return [_written(library()[key]) for key in cited(text)]


def bibtex(text: str) -> str:
    """BibTeX entries of the references of a text, in the order of `cited`."""
    return "\n".join(_entry(key, library()[key]) for key in cited(text))


def _written(entry: Mapping[str, Any]) -> str:
    authors = entry["author"]
    shown = authors if len(authors) <= MOST_AUTHORS else authors[:MOST_AUTHORS]
    others = ", et al" if len(authors) > MOST_AUTHORS or entry.get("more") else ""
    where = next((entry[f] for f in ("journal", "booktitle", "publisher") if f in entry), "")
    issue = f";{entry['volume']}" if "volume" in entry else ""
    issue += f"({entry['number']})" if "number" in entry else ""
    issue += f":{entry['pages']}" if "pages" in entry else ""
    doi = f" doi:{entry['doi']}" if "doi" in entry else ""
    where = f" {where}." if where else ""
    return f"{', '.join(shown)}{others}. {entry['title']}.{where} {entry['year']}{issue}.{doi}"


def _entry(key: str, entry: Mapping[str, Any]) -> str:
    names = [_bibtex_name(name) for name in entry["author"]]
    names += ["others"] if entry.get("more") else []
    fields = {"author": " and ".join(names)}
    fields |= {name: str(entry[name]) for name in FIELDS if name in entry}
    fields["title"] = f"{{{fields['title']}}}"
    if "pages" in fields:
        fields["pages"] = fields["pages"].replace("-", "--")
    lines = [f"  {name} = {{{_escaped(name, value)}}}," for name, value in fields.items()]
    return "\n".join([f"@{entry['type']}{{{key},", *lines, "}", ""])


def _bibtex_name(name: str) -> str:
    family, initials = name.rsplit(" ", 1)
    return f"{family}, {' '.join(f'{letter}.' for letter in initials)}"


def _escaped(name: str, value: str) -> str:
    return value if name == "doi" else re.sub(r"([&%#_])", r"\\\1", value)
