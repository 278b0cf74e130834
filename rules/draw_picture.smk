rule draw_picture:
    input:
        ct=f"{SCAN}/ct.nii.gz",
        root=f"{SCAN}/root_mask.nii.gz",
        calcium=f"{SCAN}/calcium_mask.nii.gz",
        measured=f"{SCAN}/calcium.json",
        voxels=f"{SCAN}/root_voxels.npz",
    output:
        **SCAN_PAGE,
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
        reference=lambda wildcards: {
            name: SHEET[wildcards.scan_id].get(f"reference_{name}")
            for name in ("threshold_hu", "volume_mm3")
        },
        version=STAGE_VERSIONS["picture"],
    message:
        "Draw {wildcards.scan_id}"
    script:
        "../workflow_scripts/draw_picture.py"
