rule write_gallery:
    input:
        ASSETS,
        scans=f"{COHORT}/scans.csv",
        calcium=f"{COHORT}/calcium.csv",
        agreement=f"{COHORT}/agreement.csv",
        reviews=REVIEWS,
        pictures=expand(f"{BATCH}/picture.json", batch=BATCHES),
    output:
        page=f"{COHORT}/gallery.html",
        assets=directory(f"{COHORT}/assets"),
    log:
        f"{LOGS}/write_gallery.log",
    conda:
        "../envs/cpu.yaml"
    params:
        rule_name=SETTINGS["measure"]["mask_rule"],
        scan_pages=SETTINGS["report"]["scan_pages"],
        version=STAGE_VERSIONS["gallery"],
    message:
        "Write the gallery"
    script:
        "../workflow_scripts/write_gallery.py"
