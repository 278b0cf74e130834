"""Gather the cohort's tables. In: records. Out: scans, calcium, scores, segmentation.csv."""

from calcohort.logs import job_log
from calcohort.seal import read_seals
from calcohort.study import read_sheet
from calcohort.tables import build_tables, write_table

if __name__ == "__main__":
    source, output = snakemake.input, snakemake.output
    with job_log(snakemake.log[0]):
        tables = build_tables(
            read_sheet(source.sheet),
            series=read_seals(source.series),
            measured=read_seals(source.measured),
            compared=read_seals(source.compared),
            settings=snakemake.params.settings,
        )
        for name, table in tables.items():
            write_table(output[name], name, table)
