"""Deal the training scans into folds by patient, or refuse. In: records. Out: split.csv."""

from calcohort.logs import job_log
from calcohort.outcomes import read_record
from calcohort.seal import read_seals
from calcohort.training.split import split_by_patient, write_split

if __name__ == "__main__":
    source, params = snakemake.input, snakemake.params
    with job_log(snakemake.log[0]):
        samples, series = (
            {r["scan_id"]: r for r in records if r["scan_id"] in params.scans}
            for records in (map(read_record, source.samples), read_seals(source.series))
        )
        fold_of = split_by_patient(
            params.scans, samples, series,
            folds=params.folds, depth=params.depth, seed=params.seed,
        )  # fmt: skip
        write_split(snakemake.output[0], fold_of)
