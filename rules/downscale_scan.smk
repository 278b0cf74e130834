rule downscale_scan:
    input:
        ct=f"{SCAN}/ct.nii.gz",
        upstream=f"{SCAN}/series.json",
    output:
        ct=temp(f"{SCAN}/ct_downscaled.nii.gz"),
        record=temp(f"{SCAN}/downscale.json"),
    log:
        f"{LOGS}/downscale_scan/{{scan_id}}.log",
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(5),
    params:
        factor_kji=SETTINGS["downscale"]["factor_kji"],
        version=STAGE_VERSIONS["downscale"],
    message:
        "Downscale {wildcards.scan_id}"
    script:
        "../workflow_scripts/downscale_scan.py"
