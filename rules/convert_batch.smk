rule convert_batch:
    input:
        of_rows("dicom"),
    output:
        f"{BATCH}/convert.json",
    log:
        f"{LOGS}/convert_batch/{{batch}}.log",
    benchmark:
        f"{LOGS}/benchmarks/convert_batch/{{batch}}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: SCAN_THREADS
    resources:
        mem_mb=per_worker(3000),
        runtime=per_scan(3),
    params:
        scans=SCANS,
        rows=lambda wildcards: {
            scan_id: {key: SHEET[scan_id].get(key) for key in ("dicom", "series_uid")}
            for scan_id in BATCHES[wildcards.batch]
        },
        limits=SETTINGS["convert"],
        choose=SETTINGS["choose"],
        dates=SETTINGS["dates"],
        repairs=SETTINGS["repair"],
        version=STAGE_VERSIONS["convert"],
    message:
        "Convert {wildcards.batch}"
    script:
        "../workflow_scripts/convert_batch.py"
