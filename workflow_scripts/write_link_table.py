"""Append to link_table.csv, in the private folder, the scans that are converted and not yet in it.

With `link_table: true` a run of snakemake does this at its end.
"""

import argparse
import sys
from pathlib import Path

from calcohort.links import append_links
from calcohort.outcomes import UserError
from calcohort.study import read_config, read_settings, read_sheet, sheet_of

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configfile", type=Path, help="as snakemake's: laid over config.yaml")
    try:
        settings = read_settings(read_config(parser.parse_args().configfile))
        added, missing = append_links(settings, read_sheet(sheet_of(settings)))
    except UserError as problem:
        sys.exit(f"write_link_table: {problem}")
    print(f"{added} scans added to {Path(settings['private'], 'link_table.csv')}")
    if missing:
        sys.exit(f"write_link_table: no longer in their source: {', '.join(missing)}")
