rule measure_calcium:
    input:
        f"{BATCH}/convert.json",
        f"{BATCH}/root.json",
    output:
        f"{BATCH}/measure.json",
    log:
        f"{LOGS}/measure_calcium/{{batch}}.log",
    benchmark:
        f"{LOGS}/benchmarks/measure_calcium/{{batch}}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: SCAN_THREADS
    resources:
        mem_mb=per_worker(2000),
        runtime=per_scan(1),
    params:
        scans=SCANS,
        scan_ids=lambda wildcards: BATCHES[wildcards.batch],
        settings=SETTINGS["measure"],
        scores=SETTINGS["scores"],
        version=STAGE_VERSIONS["measure"],
    message:
        "Measure {wildcards.batch}"
    script:
        "../workflow_scripts/measure_calcium.py"
