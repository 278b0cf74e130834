rule associate_outcomes:
    input:
        scans=f"{COHORT}/scans.csv",
        scores=f"{COHORT}/laboratory.csv",
    output:
        table=report(f"{COHORT}/associations.csv", category="Tables"),
    log:
        f"{LOGS}/associate_outcomes.log",
    conda:
        "../envs/cpu.yaml"
    params:
        asked=SETTINGS["association"],
        rule_name=SETTINGS["measure"]["mask_rule"],
        version=STAGE_VERSIONS["association"],
    message:
        "Relate calcium to outcomes and groups"
    script:
        "../workflow_scripts/associate_outcomes.py"
