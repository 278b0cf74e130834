rule aggregate_cohort:
    input:
        series=expand(f"{SCAN}/series.json", scan_id=SHEET),
        measured=expand(f"{SCAN}/calcium.json", scan_id=SHEET),
        compared=expand(f"{SCAN}/comparison.json", scan_id=COMPARED),
        sheet=SETTINGS["sheet"],
        reviews=REVIEWS,
    output:
        scans=report(f"{COHORT}/scans.csv", category="Tables"),
        calcium=report(f"{COHORT}/calcium.csv", category="Tables"),
        segmentation=report(f"{COHORT}/segmentation.csv", category="Tables"),
    log:
        f"{LOGS}/aggregate_cohort.log",
    conda:
        "../envs/cpu.yaml"
    params:
        settings=SETTINGS,
        version=STAGE_VERSIONS["aggregate"],
    message:
        "Gather the cohort's tables"
    script:
        "../workflow_scripts/aggregate_cohort.py"
