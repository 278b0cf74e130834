"""Pull the CT of a worklist from the node of the config, each row with an outcome.

The worklist is a tab-separated table with any of the columns patient_id, accession_number,
study_uid, study_date (YYYYMMDD), series_uid, and scan_id. Run it again after an interruption: it
fetches only what is missing. The folder names patients; it is made for its owner alone. Exit codes:
0 all rows are pulled; 1 some are not (pulled.tsv says why); 2 a mistake in the set-up.
"""

import argparse
import os
import sys
import warnings
from collections import Counter
from functools import partial
from pathlib import Path

from calcohort.node.settings import open_node
from calcohort.node.worklist import PULLED, pull_worklist, read_worklist
from calcohort.outcomes import UserError
from calcohort.private import OF_OTHERS, make_private
from calcohort.study import read_config, read_settings

SOME_LEFT, MISTAKE = 1, 2


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("worklist", type=Path)
    parser.add_argument("folder", type=Path, help="where the images go")
    parser.add_argument("--configfile", type=Path, help="as snakemake's: laid over config.yaml")
    return parser.parse_args(arguments)


def pull(asked: argparse.Namespace) -> int:
    """Pull and return the exit code.

    Raises
    ------
    UserError
        For a mistake in the set-up.
    """
    rows = read_worklist(asked.worklist)
    node = open_node(read_settings(read_config(asked.configfile))["node"])
    folder = make_private(asked.folder)
    with node.opened():
        pulls = pull_worklist(node, rows, folder, partial(print, flush=True))
    counts = Counter(pull.outcome for pull in pulls)
    told = ", ".join(f"{outcome} {number}" for outcome, number in counts.items())
    print(f"{told}; table: {folder / 'pulled.tsv'}")
    return 0 if counts[PULLED] == len(rows) else SOME_LEFT


if __name__ == "__main__":
    os.umask(OF_OTHERS)
    warnings.simplefilter("ignore")  # of the DICOM libraries: they quote names
    try:
        sys.exit(pull(parse()))
    except UserError as mistake:
        print(f"pull_series: {mistake}", file=sys.stderr)
        sys.exit(MISTAKE)
    except OSError as problem:
        print(f"pull_series: {problem.filename}: {problem.strerror}", file=sys.stderr)
        sys.exit(MISTAKE)
    except KeyboardInterrupt:
        print("pull_series: stopped; run the same command again to go on", file=sys.stderr)
        sys.exit(SOME_LEFT)
