rule train_fold:
    input:
        samples=of_learned(f"{STORE}/{{scan_id}}.json"),
        images=of_learned(f"{STORE}/{{scan_id}}_image.npy"),
        labels=of_learned(f"{STORE}/{{scan_id}}_label.npy"),
        split=f"{TRAINED}/split.csv",
    output:
        weights=f"{TRAINED}/{{fold}}/{{network}}.weights.h5",
        log=f"{TRAINED}/{{fold}}/log.csv",
    log:
        f"{LOGS}/train_fold/{{network}}/{{fold}}.log",
    conda:
        "../envs/network.yaml"
    threads: NETWORK_THREADS
    resources:
        mem_mb=16000,
        gpu=GPUS * TRAINING["processes"],
    params:
        training=training_of,
        processes=TRAINING["processes"],
        device=SETTINGS["device"],
        version=STAGE_VERSIONS["train"],
    message:
        "Train {wildcards.network}, {wildcards.fold}"
    script:
        "../workflow_scripts/train_fold.py"
