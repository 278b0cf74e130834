"""Write masks as DICOM SEG and measurements as DICOM SR; with --store, send them to the node.

They name the patient, as they belong into the archive beside the scan, so they go into the private
folder of the config. Run it after the study. Exit codes: 0 all measured scans are handed back; 1
some are not (the table says why); 2 a mistake in the set-up.
"""

import argparse
import os
import sys
import warnings
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from calcohort.dicom.convert import Limits
from calcohort.handback.cohort import counts, hand_back_cohort
from calcohort.handback.scan import objects_in
from calcohort.handback.store import Ledger, store_objects
from calcohort.keys import study_key
from calcohort.lock import lock_results
from calcohort.node.settings import open_node
from calcohort.outcomes import UserError
from calcohort.private import OF_OTHERS, make_private, private_folder
from calcohort.study import read_config, read_settings, read_sheet, sheet_of

SOME_LEFT, MISTAKE = 1, 2


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--configfile", type=Path, help="as snakemake's: laid over config.yaml")
    parser.add_argument("--scans", nargs="+", metavar="SCAN_ID", help="only these")
    parser.add_argument("--store", action="store_true", help="send the objects to the node")
    parser.add_argument("--jobs", type=int, default=1, help="processes of about 1 GB each")
    return parser.parse_args(arguments)


def hand_back(asked: argparse.Namespace) -> int:
    """Write the objects, store them where asked, and return the exit code.

    Raises
    ------
    UserError
        For a mistake in the set-up.
    """
    settings = read_settings(read_config(asked.configfile))
    sheet = read_sheet(sheet_of(settings))
    unknown = set(asked.scans or ()) - set(sheet)
    if unknown:
        raise UserError(f"--scans: {', '.join(sorted(unknown))} are not in the sheet.")
    node = open_node(settings["node"]) if asked.store else None
    lock_results(Path(settings["results"]))
    folder = make_private(private_folder(settings) / "handback")
    tell = partial(print, flush=True)
    done = hand_back_cohort(
        {scan_id: sheet[scan_id] for scan_id in asked.scans or sheet},
        Path(settings["results"]),
        folder,
        key=study_key(settings),
        max_archive_bytes=Limits(**settings["convert"]).max_archive_gb * 1e9,
        jobs=asked.jobs,
        report=tell,
    )
    tell(f"{counts(done)}; table: {folder / 'handback.tsv'}")
    left = sum(result.outcome in ("refused", "failed") for result in done)
    if node:
        there = [r.scan_id for r in done if r.outcome in ("written", "unchanged")]
        ledger = Ledger(folder / "stored.tsv", node.name)
        with node.opened():
            stored, failed = store_objects(node, there, folder, ledger, tell)
        known = sum(len(objects_in(folder / scan_id)) for scan_id in there) - stored
        tell(f"{stored} objects stored to {node.name}, {known} there before")
        left += failed
    return SOME_LEFT if left else 0


if __name__ == "__main__":
    os.umask(OF_OTHERS)
    warnings.simplefilter("ignore")  # of the DICOM libraries: they quote names
    try:
        sys.exit(hand_back(parse()))
    except (UserError, OSError) as mistake:
        sys.stderr.write(f"hand_back: {mistake}\n")
        sys.exit(MISTAKE)
    except BrokenProcessPool:
        sys.stderr.write("hand_back: a process was killed, out of memory? Give fewer --jobs.\n")
        sys.exit(MISTAKE)
    except KeyboardInterrupt:
        sys.exit("hand_back: stopped; run the same command again to go on")
