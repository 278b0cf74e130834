"""Deal the training scans into folds by patient, or refuse. In: records. Out: split.csv."""

from calcohort.logs import job_log
from calcohort.outcomes import read_record
from calcohort.training.split import split_by_patient, write_split

if __name__ == "__main__":
    source, params = snakemake.input, snakemake.params
    with job_log(snakemake.log[0]):
        samples, series = (
            {record["scan_id"]: record for record in map(read_record, paths)}
            for paths in (source.samples, source.series)
        )
        fold_of = split_by_patient(
            params.scans, samples, series,
            folds=params.folds, depth=params.depth, seed=params.seed,
        )  # fmt: skip
        write_split(snakemake.output[0], fold_of)
