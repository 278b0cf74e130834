rule measure_calcium:
    input:
        ct=f"{SCAN}/ct.nii.gz",
        root=f"{SCAN}/root_mask.nii.gz",
        upstream=f"{SCAN}/root.json",
        series=f"{SCAN}/series.json",
    output:
        mask=f"{SCAN}/calcium_mask.nii.gz",
        voxels=f"{SCAN}/root_voxels.npz",
        record=f"{SCAN}/calcium.json",
    log:
        f"{LOGS}/measure_calcium/{{scan_id}}.log",
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(5),
    params:
        settings=SETTINGS["measure"],
        scores=SETTINGS["scores"],
        version=STAGE_VERSIONS["measure"],
    message:
        "Measure {wildcards.scan_id}"
    script:
        "../workflow_scripts/measure_calcium.py"
