rule place_root:
    input:
        unpack(by_network(cropped="crop.json", segmented="segment")),
        of_rows("root_mask"),
        f"{BATCH}/convert.json",
    output:
        f"{BATCH}/root.json",
    log:
        f"{LOGS}/place_root/{{batch}}.log",
    benchmark:
        f"{LOGS}/benchmarks/place_root/{{batch}}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: SCAN_THREADS
    resources:
        mem_mb=per_worker(2000),
        runtime=per_scan(1),
    params:
        scans=SCANS,
        given=lambda wildcards: {
            scan_id: SHEET[scan_id].get("root_mask")
            for scan_id in BATCHES[wildcards.batch]
        },
        min_volume_ml=SETTINGS["segment"]["min_volume_ml"],
        max_volume_ml=SETTINGS["segment"]["max_volume_ml"],
        min_fraction_in_box=SETTINGS["segment"]["min_fraction_in_box"],
        spacing_mm=SPACING_MM,
        version=STAGE_VERSIONS["root"],
    message:
        "Place the roots of {wildcards.batch}"
    script:
        "../workflow_scripts/place_root.py"
