rule aggregate_cohort:
    input:
        series=expand(f"{BATCH}/convert.json", batch=BATCHES),
        measured=expand(f"{BATCH}/measure.json", batch=BATCHES),
        compared=expand(f"{BATCH}/compare.json", batch=COMPARED),
        sheet=SHEET_PATH,
        reviews=REVIEWS,
    output:
        scans=report(f"{COHORT}/scans.csv", category="Tables"),
        calcium=report(f"{COHORT}/calcium.csv", category="Tables"),
        scores=report(f"{COHORT}/scores.csv", category="Tables"),
        segmentation=report(f"{COHORT}/segmentation.csv", category="Tables"),
    log:
        f"{LOGS}/aggregate_cohort.log",
    conda:
        "../envs/cpu.yaml"
    params:
        settings=SETTINGS,
        ranges=RANGES,
        version=STAGE_VERSIONS["aggregate"],
    message:
        "Gather the cohort's tables"
    script:
        "../workflow_scripts/aggregate_cohort.py"
