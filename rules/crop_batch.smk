rule crop_batch:
    input:
        f"{BATCH}/convert.json",
        localised=f"{BATCH}/localise",
    output:
        seal=f"{BATCH}/crop.json",
        crops=temp(directory(f"{BATCH}/crop")),
    log:
        f"{LOGS}/crop_batch/{{batch}}.log",
    benchmark:
        f"{LOGS}/benchmarks/crop_batch/{{batch}}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: SCAN_THREADS
    resources:
        mem_mb=per_worker(2000),
        runtime=per_scan(1),
    params:
        scans=SCANS,
        scan_ids=lambda wildcards: BY_NETWORK[wildcards.batch],
        settings=SETTINGS["crop"],
        spacing_mm=SPACING_MM,
        version=STAGE_VERSIONS["crop"],
    message:
        "Crop {wildcards.batch}"
    script:
        "../workflow_scripts/crop_batch.py"
