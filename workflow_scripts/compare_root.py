"""Compare a scan with its reference masks. In: masks, found and given. Out: comparison.json."""

from pathlib import Path

from calcohort.compare import compare_scan
from calcohort.logs import job_log
from calcohort.measure.measure import MeasureSettings
from calcohort.outcomes import run_stage

if __name__ == "__main__":
    source, params = snakemake.input, snakemake.params
    with job_log(snakemake.log[0], snakemake.config["private"]):
        run_stage(
            "compare",
            snakemake.wildcards.scan_id,
            lambda: compare_scan(
                Path(source.ct),
                Path(source.root),
                Path(source.root_record),
                Path(source.calcium),
                Path(source.calcium_record),
                references=params.references,
                box_record=source.box or None,
                settings=MeasureSettings(**params.measure),
            ),
            record=snakemake.output.record,
            upstream=[source.series],
        )
