"""The node of the config."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calcohort.node.dimse import DimseNode
from calcohort.node.node import Node
from calcohort.node.web import WebNode
from calcohort.outcomes import UserError


def open_node(settings: Mapping[str, Any]) -> Node:
    """Make the node of the config's `node`: DICOMweb where it has a `url`, else DIMSE.

    Raises
    ------
    UserError
        When the config names no node, or a file of `tls` that does not exist.
    """
    if not settings:
        raise UserError("The config names no node: give `node:` an address or url (docs/pacs.md).")
    for name, path in settings.get("tls", {}).items():
        if not Path(path).is_file():
            raise UserError(f"The config's node.tls.{name}, {path}, does not exist.")
    if "url" in settings:
        return WebNode(**settings)
    return DimseNode(**settings)
