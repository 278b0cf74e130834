rule localise_batch:
    input:
        downscaled=f"{BATCH}/downscale",
        weights=SETTINGS["localise"]["network"]["weights"],
    output:
        directory(f"{BATCH}/localise"),
    log:
        f"{LOGS}/localise_batch/{{batch}}.log",
        trace=f"{LOGS}/trace/localise-{{batch}}.tsv",
    benchmark:
        f"{LOGS}/benchmarks/localise_batch/{{batch}}.tsv"
    conda:
        "../envs/network.yaml"
    threads: NETWORK_THREADS
    resources:
        mem_mb=growing(8000),
        runtime=per_scan(4),
        gpu=GPUS,
    params:
        scan_ids=lambda wildcards: BY_NETWORK[wildcards.batch],
        settings=SETTINGS["localise"],
        device=SETTINGS["device"],
        version=STAGE_VERSIONS["localise"],
    message:
        "Localise the roots of {wildcards.batch}"
    script:
        "../workflow_scripts/localise_batch.py"
