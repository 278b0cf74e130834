"""Score all threshold rules again. In: scans.csv, root voxels. Out: the laboratory's tables."""

from pathlib import Path

from calcohort.laboratory.laboratory import compare_rules
from calcohort.logs import job_log
from calcohort.tables import read_table, write_table

if __name__ == "__main__":
    source, output, params = snakemake.input, snakemake.output, snakemake.params
    with job_log(snakemake.log[0]):
        tables = compare_rules(
            read_table(source.scans),
            {s: Path(params.scans, s, "root_voxels.npz") for s in params.scan_ids},
            k=params.k,
            formulas=params.rules,
        )
        write_table(output.scores, "laboratory", tables.scores)
        write_table(output.agreement, "agreement", tables.agreement)
        write_table(output.fits, "k_fits", tables.fits)
