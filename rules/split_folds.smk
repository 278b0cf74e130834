rule split_folds:
    input:
        samples=of_learned(f"{STORE}/{{scan_id}}.json"),
        series=LEARNED_SEALS,
    output:
        f"{TRAINED}/split.csv",
    log:
        f"{LOGS}/split_folds/{{network}}.log",
    conda:
        "../envs/cpu.yaml"
    params:
        scans={
            scan_id: {key: SHEET[scan_id].get(key) for key in ("patient", "fold")}
            for scan_id in LEARNED
        },
        folds=TRAINING["folds"],
        seed=TRAINING["seed"],
        depth=lambda wildcards: TRAINING[wildcards.network]["depth"],
    message:
        "Deal the training scans of {wildcards.network} into folds"
    script:
        "../workflow_scripts/split_folds.py"
