rule downscale_batch:
    input:
        f"{BATCH}/convert.json",
    output:
        temp(directory(f"{BATCH}/downscale")),
    log:
        f"{LOGS}/downscale_batch/{{batch}}.log",
    benchmark:
        f"{LOGS}/benchmarks/downscale_batch/{{batch}}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: SCAN_THREADS
    resources:
        mem_mb=per_worker(2000),
        runtime=per_scan(1),
    params:
        scans=SCANS,
        scan_ids=lambda wildcards: BY_NETWORK[wildcards.batch],
        factor_kji=SETTINGS["downscale"]["factor_kji"],
        spacing_mm=SPACING_MM,
        version=STAGE_VERSIONS["downscale"],
    message:
        "Downscale {wildcards.batch}"
    script:
        "../workflow_scripts/downscale_batch.py"
