rule summarise_training:
    input:
        samples=of_learned(f"{STORE}/{{scan_id}}.json"),
        scans=of_folds("scans.csv"),
        logs=of_folds("log.csv"),
        final_log=f"{TRAINED}/all/log.csv",
        weights=f"{TRAINED}/all/{{network}}.weights.h5",
    output:
        scans=f"{TRAINED}/cross_validation.csv",
        summary=report(f"{TRAINED}/summary.csv", category="Training"),
        curves=report(f"{TRAINED}/learning_curves.png", category="Training"),
        vector=f"{TRAINED}/learning_curves.svg",
        config=f"{TRAINED}/network.yaml",
        ranges=f"{TRAINED}/ranges.yaml",
        card=f"{TRAINED}/MODEL_CARD.md",
    log:
        f"{LOGS}/summarise_training/{{network}}.log",
    conda:
        "../envs/cpu.yaml"
    params:
        training=training_of,
        version=STAGE_VERSIONS["summarise"],
    message:
        "Summarise the training of {wildcards.network}"
    script:
        "../workflow_scripts/summarise_training.py"
