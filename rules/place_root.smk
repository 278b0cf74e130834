rule place_root:
    input:
        unpack(root_source),
        ct=f"{SCAN}/ct.nii.gz",
    output:
        mask=f"{SCAN}/root_mask.nii.gz",
        sure=f"{SCAN}/root_probability.nii.gz",
        record=f"{SCAN}/root.json",
    log:
        f"{LOGS}/place_root/{{scan_id}}.log",
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(5),
    params:
        given=lambda wildcards: SHEET[wildcards.scan_id].get("root_mask"),
        min_volume_ml=SETTINGS["segment"]["min_volume_ml"],
        max_volume_ml=SETTINGS["segment"]["max_volume_ml"],
        version=STAGE_VERSIONS["root"],
    message:
        "Place the root of {wildcards.scan_id}"
    script:
        "../workflow_scripts/place_root.py"
