rule measure_calcium:
    input:
        ct=f"{SCAN}/ct.nii.gz",
        root=f"{SCAN}/root_mask.nii.gz",
        upstream=f"{SCAN}/root.json",
    output:
        mask=f"{SCAN}/calcium_mask.nii.gz",
        record=f"{SCAN}/calcium.json",
    log:
        f"{LOGS}/measure_calcium/{{scan_id}}.log",
    params:
        settings=SETTINGS["measure"],
        version=STAGE_VERSIONS["measure"],
    resources:
        mem_mb=2000,
    conda:
        "../envs/cpu.yaml"
    message:
        "Measure {wildcards.scan_id}"
    script:
        "../workflow_scripts/measure_calcium.py"
