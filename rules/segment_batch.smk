rule segment_batch:
    input:
        cts=of_members(f"{SCAN}/ct_crop.nii.gz"),
        upstream=of_members(f"{SCAN}/crop.json"),
        weights=SETTINGS["segment"]["network"]["weights"],
        ensemble=[further["weights"] for further in SETTINGS["confidence"]["ensemble"]],
    output:
        directory(f"{BATCH}/segment"),
    log:
        f"{LOGS}/segment_batch/{{batch}}.log",
        trace=f"{LOGS}/trace/segment-{{batch}}.tsv",
    conda:
        "../envs/network.yaml"
    threads: NETWORK_THREADS
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
        gpu=GPUS,
    params:
        scan_ids=lambda wildcards: BATCHES[wildcards.batch],
        network=SETTINGS["segment"]["network"],
        confidence=SETTINGS["confidence"],
        device=SETTINGS["device"],
        version=STAGE_VERSIONS["segment"],
    message:
        "Segment the roots of {wildcards.batch}"
    script:
        "../workflow_scripts/segment_batch.py"
