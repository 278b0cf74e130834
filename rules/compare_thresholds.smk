rule compare_thresholds:
    input:
        scans=f"{COHORT}/scans.csv",
        measured=expand(f"{BATCH}/measure.json", batch=BATCHES),
    output:
        scores=report(f"{COHORT}/laboratory.csv", category="Tables"),
        agreement=report(f"{COHORT}/laboratory_agreement.csv", category="Tables"),
        fits=report(f"{COHORT}/k_fits.csv", category="Tables"),
    log:
        f"{LOGS}/compare_thresholds.log",
    conda:
        "../envs/cpu.yaml"
    params:
        scans=SCANS,
        scan_ids=list(SHEET),
        k=SETTINGS["measure"]["k"],
        rules=SETTINGS["laboratory"]["rules"],
        version=STAGE_VERSIONS["laboratory"],
    message:
        "Compare the threshold rules"
    script:
        "../workflow_scripts/compare_thresholds.py"
