"""Summarise a training. In: each fold's scans and log. Out: tables, curves, ranges, card."""

import hashlib
from pathlib import Path

import pandas as pd
from calcohort.applicability import find_ranges, write_ranges
from calcohort.logs import job_log
from calcohort.outcomes import atomic_path, read_record
from calcohort.training.card import config_lines, model_card
from calcohort.training.summary import draw_learning_curves, summarise

if __name__ == "__main__":
    source, output, params = snakemake.input, snakemake.output, snakemake.params
    with job_log(snakemake.log[0]):
        network = snakemake.wildcards.network
        scans = pd.concat(map(pd.read_csv, source.scans), ignore_index=True).round(4)
        summary = summarise(scans)
        draw_learning_curves(source.logs, network, Path(output.curves))
        digest = hashlib.sha256(Path(source.weights).read_bytes()).hexdigest()
        own = params.training[network]
        lines = config_lines(network, source.weights, digest, own, output.ranges)
        final = pd.read_csv(source.final_log).iloc[-1].to_dict()
        records = [read_record(path) for path in source.samples]
        ranges = find_ranges(records)
        write_ranges(output.ranges, f"{len(records)} scans of the study's own sheet", ranges)
        card = model_card(network, params.training, records, ranges, summary, final, lines)
        for path, text in (
            (output.scans, scans.to_csv(index=False, lineterminator="\n")),
            (output.summary, summary.to_csv(index=False, lineterminator="\n")),
            (output.config, lines),
            (output.card, card),
        ):
            with atomic_path(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
