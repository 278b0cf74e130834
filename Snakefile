from snakemake.utils import min_version

min_version("9.0")


configfile: "config.yaml"


report: "docs/workflow_report.rst"


include: "rules/common.smk"
include: "rules/convert_scan.smk"
include: "rules/downscale_scan.smk"
include: "rules/localise_batch.smk"
include: "rules/crop_scan.smk"
include: "rules/segment_batch.smk"
include: "rules/place_root.smk"
include: "rules/measure_calcium.smk"
include: "rules/compare_root.smk"
include: "rules/draw_picture.smk"
include: "rules/aggregate_cohort.smk"
include: "rules/assess_agreement.smk"
include: "rules/compare_thresholds.smk"
include: "rules/associate_outcomes.smk"
include: "rules/write_report.smk"


wildcard_constraints:
    scan_id=r"[A-Za-z0-9][A-Za-z0-9_.]*(?:-[A-Za-z0-9_.]+)*",
    batch=r"batch-\d+",


onstart:
    lock_results_here()
    logging.getLogger("snakemake.logging").addHandler(TimeLeft())
    write_batches(BATCH_TABLE, BATCHES)


rule all:
    default_target: True
    input:
        f"{COHORT}/report.html",
