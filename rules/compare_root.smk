rule compare_root:
    input:
        lambda wildcards: existing(wildcards.scan_id, *REFERENCES),
        ct=f"{SCAN}/ct.nii.gz",
        series=f"{SCAN}/series.json",
        root=f"{SCAN}/root_mask.nii.gz",
        root_record=f"{SCAN}/root.json",
        calcium=f"{SCAN}/calcium_mask.nii.gz",
        calcium_record=f"{SCAN}/calcium.json",
        box=lambda wildcards: (
            [] if wildcards.scan_id in GIVEN else f"{SCAN}/bounding_box.json"
        ),
    output:
        record=f"{SCAN}/comparison.json",
    log:
        f"{LOGS}/compare_root/{{scan_id}}.log",
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=growing(3000),
        runtime=growing(5),
    params:
        references=lambda wildcards: {
            column: SHEET[wildcards.scan_id].get(column) for column in REFERENCES
        },
        measure=SETTINGS["measure"],
        version=STAGE_VERSIONS["compare"],
    message:
        "Compare {wildcards.scan_id} with its references"
    script:
        "../workflow_scripts/compare_root.py"
