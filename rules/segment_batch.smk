rule segment_batch:
    input:
        f"{BATCH}/crop.json",
        crops=f"{BATCH}/crop",
        weights=SETTINGS["segment"]["network"]["weights"],
        ensemble=[further["weights"] for further in SETTINGS["confidence"]["ensemble"]],
    output:
        directory(f"{BATCH}/segment"),
    log:
        f"{LOGS}/segment_batch/{{batch}}.log",
        trace=f"{LOGS}/trace/segment-{{batch}}.tsv",
    benchmark:
        f"{LOGS}/benchmarks/segment_batch/{{batch}}.tsv"
    conda:
        "../envs/network.yaml"
    threads: NETWORK_THREADS
    resources:
        mem_mb=growing(8000),
        runtime=per_scan(8),
        gpu=GPUS,
    params:
        scans=SCANS,
        scan_ids=lambda wildcards: BY_NETWORK[wildcards.batch],
        network=SETTINGS["segment"]["network"],
        confidence=SETTINGS["confidence"],
        device=SETTINGS["device"],
        version=STAGE_VERSIONS["segment"],
    message:
        "Segment the roots of {wildcards.batch}"
    script:
        "../workflow_scripts/segment_batch.py"
