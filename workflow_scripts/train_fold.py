"""Train a network without a fold, or on all scans. In: store, split.csv. Out: weights, log.csv."""

from pathlib import Path

from calcohort.logs import job_log
from calcohort.outcomes import read_record
from calcohort.training.job import make_plan, run_job
from calcohort.training.split import read_split

if __name__ == "__main__":
    source, output, params = snakemake.input, snakemake.output, snakemake.params
    with job_log(snakemake.log[0]):
        network = snakemake.wildcards.network
        fold_of = read_split(source.split)
        records = {record["scan_id"]: record for record in map(read_record, source.samples)}
        without = snakemake.wildcards.fold.removeprefix("fold-")
        validation = [scan_id for scan_id, fold in fold_of.items() if str(fold) == without]
        training = [scan_id for scan_id in fold_of if scan_id not in validation]
        run_job(
            make_plan(network, params.training, len(training)),
            store=Path(source.samples[0]).parents[1],
            training_names=training,
            validation_names=validation,
            contents=[records[name]["sample_sha256"] for name in training + validation],
            folder=Path(output.log).parent,
            weights=Path(output.weights),
            log=Path(output.log),
            start_from=params.training[network].get("start_from"),
            device=params.device,
            processes=params.processes,
        )
