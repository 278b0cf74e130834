rule segment_batch:
    input:
        cts=of_members(f"{SCAN}/ct_crop.nii.gz"),
        upstream=of_members(f"{SCAN}/crop.json"),
        weights=SETTINGS["segment"]["network"]["weights"],
    output:
        directory(f"{BATCH}/segment"),
    log:
        f"{LOGS}/segment_batch/{{batch}}.log",
    conda:
        "../envs/network.yaml"
    threads: workflow.cores or 8
    resources:
        mem_mb=8000,
        gpu=GPUS,
    params:
        scan_ids=lambda wildcards: BATCHES[wildcards.batch],
        network=SETTINGS["segment"]["network"],
        device=SETTINGS["device"],
        version=STAGE_VERSIONS["segment"],
    message:
        "Segment the roots of {wildcards.batch}"
    script:
        "../workflow_scripts/segment_batch.py"
