"""Compare thresholds and volumes with the references. In: tables. Out: agreement.csv, figures."""

from pathlib import Path

import pandas as pd
from calcohort.agreement.agreement import agreement_table
from calcohort.agreement.plots import draw_figures
from calcohort.logs import job_log
from calcohort.tables import read_table, write_table

PHYSICAL = {"calcium_volume_mm3": "physical_volume_mm3"}

if __name__ == "__main__":
    source, output = snakemake.input, snakemake.output
    with job_log(snakemake.log[0]):
        scans, calcium = read_table(source.scans), read_table(source.calcium)
        table = pd.concat(
            [
                agreement_table(calcium, scans),
                agreement_table(calcium, scans, columns=PHYSICAL, reference="physical"),
            ]
        )
        given = table[table["scans_with_reference"] > 0]
        write_table(output.table, "agreement", given)
        draw_figures(Path(output.figures), calcium, scans, rule=snakemake.params.rule_name)
