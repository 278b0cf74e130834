from snakemake.utils import min_version

min_version("9.0")


configfile: "config.yaml"


report: "docs/workflow_report.rst"


include: "rules/common.smk"
include: "rules/convert_batch.smk"
include: "rules/downscale_batch.smk"
include: "rules/localise_batch.smk"
include: "rules/crop_batch.smk"
include: "rules/segment_batch.smk"
include: "rules/place_root.smk"
include: "rules/measure_calcium.smk"
include: "rules/compare_root.smk"
include: "rules/draw_picture.smk"
include: "rules/aggregate_cohort.smk"
include: "rules/assess_agreement.smk"
include: "rules/compare_thresholds.smk"
include: "rules/associate_outcomes.smk"
include: "rules/chart_drift.smk"
include: "rules/write_gallery.smk"
include: "rules/write_report.smk"
include: "rules/write_paper.smk"
include: "rules/prepare_sample.smk"
include: "rules/split_folds.smk"
include: "rules/train_fold.smk"
include: "rules/judge_fold.smk"
include: "rules/summarise_training.smk"


wildcard_constraints:
    scan_id=r"[A-Za-z0-9][A-Za-z0-9_.-]*",
    batch=r"batch-\d+",
    network=r"unet[12]",
    fold=r"fold-\d+|all",


onstart:
    prepare_results()
    logging.getLogger("snakemake.logging").addHandler(TimeLeft())
    write_batches(BATCH_TABLE, BATCHES)
    forgive(f"{RESULTS}/batches")


onsuccess:
    write_links()


onerror:
    write_links()


rule all:
    default_target: True
    input:
        f"{COHORT}/report.html",
        f"{COHORT}/provenance.json",
        expand(f"{BATCH}/picture.json", batch=BATCHES),
        expand(f"{BATCH}/compare.json", batch=COMPARED),


rule paper:
    input:
        f"{COHORT}/paper",


rule train:
    input:
        expand(f"{TRAINED}/MODEL_CARD.md", network=TRAINING["networks"]),
