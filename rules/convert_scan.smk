rule convert_scan:
    input:
        lambda wildcards: existing(wildcards.scan_id, "dicom"),
    output:
        ct=f"{SCAN}/ct.nii.gz",
        record=f"{SCAN}/series.json",
    log:
        f"{LOGS}/convert_scan/{{scan_id}}.log",
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=growing(3000),
        runtime=growing(10),
    params:
        source=lambda wildcards: SHEET[wildcards.scan_id]["dicom"],
        series_uid=lambda wildcards: SHEET[wildcards.scan_id].get("series_uid"),
        limits=SETTINGS["convert"],
        dates=SETTINGS["dates"],
        version=STAGE_VERSIONS["convert"],
    message:
        "Convert {wildcards.scan_id}"
    script:
        "../workflow_scripts/convert_scan.py"
