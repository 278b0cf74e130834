"""The report's HTML templates, and what its pages may load."""

from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from calcohort.report import FOLDER
from calcohort.report.blocks import interval, number

POLICY = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file: 'unsafe-inline'; "
    "img-src 'self' file: data:; connect-src 'self' data:"
)
"""Content security policy of those pages: nothing but the files beside them and embedded data."""


def render(template: str, **values: Any) -> str:
    """Render a template of this folder; text is escaped, a missing value is an error."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "interval": interval}
    return environment.get_template(template).render(**values)
