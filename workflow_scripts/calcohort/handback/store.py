"""Store what was handed back to a node, each object once."""

import csv
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import pydicom

from calcohort.handback.scan import objects_in
from calcohort.node.node import Node, NodeTrouble, patiently

COLUMNS = ("node", "sop_instance_uid", "scan_id", "object", "time_utc")


class Ledger:
    """What a node has been given: a table that grows, so that nothing is stored twice.

    Parameters
    ----------
    path : Path
        The table `stored.tsv`.
    node : str
        The node's name.
    """

    def __init__(self, path: Path, node: str) -> None:
        self.path, self.node = path, node
        self.stored: set[str] = set()
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as stream:
                lines = csv.DictReader(stream, delimiter="\t")
                self.stored = {r["sop_instance_uid"] for r in lines if r["node"] == node}

    def add(self, uid: str, scan_id: str, name: str) -> None:
        """Note an object that the node has taken."""
        new = not self.path.is_file()
        with self.path.open("a", newline="", encoding="utf-8") as out:
            writer = csv.writer(out, delimiter="\t", lineterminator="\n")
            if new:
                writer.writerow(COLUMNS)
            now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
            writer.writerow([self.node, uid, scan_id, name, now])
        self.stored.add(uid)


def store_objects(
    node: Node,
    scan_ids: Iterable[str],
    folder: Path,
    ledger: Ledger,
    report: Callable[[str], None],
) -> tuple[int, int]:
    """Store the objects of scans that the node has not been given yet.

    Parameters
    ----------
    node : Node
        Where they go.
    scan_ids : iterable of str
        Scans whose objects are to be stored.
    folder : Path
        Where they lie (`hand_back_cohort`).
    ledger : Ledger
        What the node has; each stored object is noted as soon as the node has taken it.
    report : callable
        Takes a line for each scan whose objects the node does not take.

    Returns
    -------
    stored, failed : int
        Objects stored now, and scans whose objects are not all stored.
    """
    before, failed = len(ledger.stored), 0
    for scan_id in scan_ids:
        paths = objects_in(folder / scan_id)

        def store(scan_id=scan_id, paths=paths) -> None:
            uids = {
                p: str(pydicom.dcmread(p, specific_tags=["SOPInstanceUID"]).SOPInstanceUID)
                for p in paths
            }
            left = [path for path in paths if uids[path] not in ledger.stored]
            for path in node.store(left) if left else ():
                ledger.add(uids[path], scan_id, path.name)

        try:
            patiently(store)
        except NodeTrouble as trouble:
            failed += 1
            report(f"{scan_id}: not stored: {trouble}")
    return len(ledger.stored) - before, failed
