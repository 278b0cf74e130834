"""Relate calcium to outcomes and groups. In: scans.csv, laboratory.csv. Out: associations.csv."""

from calcohort.association.association import association_table
from calcohort.logs import job_log
from calcohort.tables import read_table, write_table

if __name__ == "__main__":
    source, params = snakemake.input, snakemake.params
    with job_log(snakemake.log[0]):
        table = association_table(
            read_table(source.scans),
            read_table(source.scores),
            rule=params.rule_name,
            **params.asked,
        )
        write_table(snakemake.output.table, "associations", table)
