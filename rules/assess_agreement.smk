rule assess_agreement:
    input:
        scans=f"{COHORT}/scans.csv",
        calcium=f"{COHORT}/calcium.csv",
    output:
        table=report(f"{COHORT}/agreement.csv", category="Tables"),
        categories=report(f"{COHORT}/categories.csv", category="Tables"),
        figures=report(
            directory(f"{COHORT}/figures"),
            patterns=["{figure}.png"],
            category="Agreement",
            labels={"figure": "{figure}"},
        ),
    log:
        f"{LOGS}/assess_agreement.log",
    conda:
        "../envs/cpu.yaml"
    params:
        choices=SETTINGS["agreement"],
        rule_name=SETTINGS["measure"]["mask_rule"],
        version=STAGE_VERSIONS["agreement"],
    message:
        "Assess the agreement with the references"
    script:
        "../workflow_scripts/assess_agreement.py"
