"""Gather the cohort's tables. In: records, reviews. Out: scans, calcium, scores, segmentation."""

import logging

from calcohort.logs import job_log
from calcohort.reviews import read_reviews
from calcohort.seal import read_seals
from calcohort.study import read_sheet
from calcohort.tables import build_tables, write_table

if __name__ == "__main__":
    source, output = snakemake.input, snakemake.output
    with job_log(snakemake.log[0]):
        sheet = read_sheet(source.sheet)
        reviews = next(map(read_reviews, source.reviews), {})
        if unknown := sorted(reviews.keys() - sheet):
            logging.warning("reviews of scans that the sheet lacks: %s", ", ".join(unknown))
        tables = build_tables(
            sheet,
            series=read_seals(source.series),
            measured=read_seals(source.measured),
            compared=read_seals(source.compared),
            settings=snakemake.params.settings,
            reviews=reviews,
            ranges=snakemake.params.ranges,
        )
        for name, table in tables.items():
            write_table(output[name], name, table)
