rule chart_drift:
    input:
        scans=f"{COHORT}/scans.csv",
        calcium=f"{COHORT}/calcium.csv",
    output:
        points=report(f"{COHORT}/control_charts.csv", category="Tables"),
        alarms=report(f"{COHORT}/drift.csv", category="Tables"),
        figures=directory(f"{COHORT}/drift"),
    log:
        f"{LOGS}/chart_drift.log",
    conda:
        "../envs/cpu.yaml"
    params:
        choices=SETTINGS["drift"]
        | ({"order": "sheet"} if SETTINGS["dates"] == "shift" else {}),
        rule_name=SETTINGS["measure"]["mask_rule"],
        version=STAGE_VERSIONS["drift"],
    message:
        "Chart the drift of the cohort"
    script:
        "../workflow_scripts/chart_drift.py"
