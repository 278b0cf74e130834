rule write_report:
    input:
        scans=f"{COHORT}/scans.csv",
        calcium=f"{COHORT}/calcium.csv",
        scores=f"{COHORT}/scores.csv",
        segmentation=f"{COHORT}/segmentation.csv",
        agreement=f"{COHORT}/agreement.csv",
        categories=f"{COHORT}/categories.csv",
        laboratory_agreement=f"{COHORT}/laboratory_agreement.csv",
        k_fits=f"{COHORT}/k_fits.csv",
        associations=f"{COHORT}/associations.csv",
        control_charts=f"{COHORT}/control_charts.csv",
        drift=f"{COHORT}/drift",
        figures=f"{COHORT}/figures",
        reviews=REVIEWS,
        gallery=f"{COHORT}/gallery.html",
    output:
        page=report(f"{COHORT}/report.html", category="Report"),
        provenance=f"{COHORT}/provenance.json",
    log:
        f"{LOGS}/write_report.log",
    conda:
        "../envs/cpu.yaml"
    params:
        settings=SETTINGS,
        networks=(
            {stage: SETTINGS[stage]["network"] for stage in ("localise", "segment")}
            if BY_NETWORK
            else {}
        ),
        version=STAGE_VERSIONS["report"],
    message:
        "Write the report"
    script:
        "../workflow_scripts/write_report.py"
