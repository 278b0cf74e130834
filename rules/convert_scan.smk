rule convert_scan:
    input:
        lambda wildcards: existing(wildcards.scan_id, "dicom"),
    output:
        ct=f"{SCAN}/ct.nii.gz",
        record=f"{SCAN}/series.json",
    log:
        f"{LOGS}/convert_scan/{{scan_id}}.log",
    params:
        source=lambda wildcards: SHEET[wildcards.scan_id]["dicom"],
        series_uid=lambda wildcards: SHEET[wildcards.scan_id].get("series_uid"),
        limits=SETTINGS["convert"],
        version=STAGE_VERSIONS["convert"],
    resources:
        mem_mb=3000,
    conda:
        "../envs/cpu.yaml"
    message:
        "Convert {wildcards.scan_id}"
    script:
        "../workflow_scripts/convert_scan.py"
