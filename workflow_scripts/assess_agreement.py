"""Compare thresholds and volumes with the references. In: tables. Out: agreement.csv, figures."""

from pathlib import Path

from calcohort.agreement.agreement import agreement_table
from calcohort.agreement.plots import draw_figures
from calcohort.logs import job_log
from calcohort.tables import read_table, write_table

if __name__ == "__main__":
    source, output = snakemake.input, snakemake.output
    with job_log(snakemake.log[0]):
        scans, calcium = read_table(source.scans), read_table(source.calcium)
        write_table(output.table, "agreement", agreement_table(calcium, scans))
        draw_figures(Path(output.figures), calcium, scans, rule=snakemake.params.rule_name)
