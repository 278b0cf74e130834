rule draw_picture:
    input:
        f"{BATCH}/convert.json",
        f"{BATCH}/root.json",
        f"{BATCH}/measure.json",
    output:
        f"{BATCH}/picture.json",
    log:
        f"{LOGS}/draw_picture/{{batch}}.log",
    benchmark:
        f"{LOGS}/benchmarks/draw_picture/{{batch}}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: SCAN_THREADS
    resources:
        mem_mb=per_worker(2000),
        runtime=per_scan(1),
    params:
        scans=SCANS,
        references=lambda wildcards: {
            scan_id: {
                name: SHEET[scan_id].get(f"reference_{name}")
                for name in ("threshold_hu", "volume_mm3")
            }
            for scan_id in BATCHES[wildcards.batch]
        },
        given=lambda wildcards: sorted(GIVEN.intersection(BATCHES[wildcards.batch])),
        ranges=RANGES,
        pages=SETTINGS["report"]["scan_pages"],
        version=STAGE_VERSIONS["picture"],
    message:
        "Draw {wildcards.batch}"
    script:
        "../workflow_scripts/draw_picture.py"
