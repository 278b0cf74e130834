rule draw_picture:
    input:
        ct=f"{SCAN}/ct.nii.gz",
        root=f"{SCAN}/root_mask.nii.gz",
        calcium=f"{SCAN}/calcium_mask.nii.gz",
        measured=f"{SCAN}/calcium.json",
    output:
        picture=report(
            f"{SCAN}/qc.png",
            category="Pictures",
            labels={"scan": "{scan_id}"},
            caption="../docs/picture_caption.rst",
        ),
        record=f"{SCAN}/picture.json",
    log:
        f"{LOGS}/draw_picture/{{scan_id}}.log",
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(5),
    params:
        rule_name=SETTINGS["measure"]["mask_rule"],
        version=STAGE_VERSIONS["picture"],
    message:
        "Draw {wildcards.scan_id}"
    script:
        "../workflow_scripts/draw_picture.py"
