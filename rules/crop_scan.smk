rule crop_scan:
    input:
        ct=f"{SCAN}/ct.nii.gz",
        localised=of_batch("localise"),
    output:
        ct=temp(f"{SCAN}/ct_crop.nii.gz"),
        box=f"{SCAN}/bounding_box.json",
        record=f"{SCAN}/crop.json",
    log:
        f"{LOGS}/crop_scan/{{scan_id}}.log",
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(5),
    params:
        settings=SETTINGS["crop"],
        version=STAGE_VERSIONS["crop"],
    message:
        "Crop {wildcards.scan_id}"
    script:
        "../workflow_scripts/crop_scan.py"
