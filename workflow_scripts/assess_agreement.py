"""Compare with the references. In: tables. Out: agreement.csv, categories.csv, figures."""

from pathlib import Path

import pandas as pd
from calcohort.agreement.agreement import Choices, agreement_table, category_table
from calcohort.agreement.plots import draw_figures
from calcohort.logs import job_log
from calcohort.tables import read_table, write_table

PHYSICAL = {"calcium_volume_mm3": "physical_volume_mm3"}

if __name__ == "__main__":
    source, output = snakemake.input, snakemake.output
    with job_log(snakemake.log[0]):
        scans, calcium = read_table(source.scans), read_table(source.calcium)
        choices = Choices(**snakemake.params.choices)
        asked = {"choices": choices, "columns": PHYSICAL, "reference": "physical"}
        table = pd.concat(
            [
                agreement_table(calcium, scans, choices=choices),
                agreement_table(calcium, scans, **asked),
            ]
        )
        given = table[table["scans_with_reference"] > 0]
        write_table(output.table, "agreement", given)
        categories = category_table(calcium, scans, choices=choices)
        write_table(output.categories, "categories", categories)
        draw_figures(Path(output.figures), calcium, scans, rule=snakemake.params.rule_name)
