"""Chart drift. In: scans.csv, calcium.csv. Out: control_charts.csv, drift.csv, figures."""

from pathlib import Path

from calcohort.drift.cohort import Choices, chart_cohort
from calcohort.drift.plots import draw_charts
from calcohort.logs import job_log
from calcohort.tables import read_table, write_table

if __name__ == "__main__":
    source, output, params = snakemake.input, snakemake.output, snakemake.params
    with job_log(snakemake.log[0]):
        points = chart_cohort(
            read_table(source.scans),
            read_table(source.calcium),
            params.rule_name,
            Choices(**params.choices),
        )
        write_table(output.points, "control_charts", points)
        alarms = points[points["reason"].notna()]
        write_table(output.alarms, "control_charts", alarms)
        draw_charts(Path(output.figures), points)
