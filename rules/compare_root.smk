rule compare_root:
    input:
        unpack(by_network(localised="localise")),
        of_rows(*REFERENCES),
        f"{BATCH}/convert.json",
        f"{BATCH}/root.json",
        f"{BATCH}/measure.json",
    output:
        f"{BATCH}/compare.json",
    log:
        f"{LOGS}/compare_root/{{batch}}.log",
    benchmark:
        f"{LOGS}/benchmarks/compare_root/{{batch}}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: SCAN_THREADS
    resources:
        mem_mb=per_worker(3000),
        runtime=per_scan(1),
    params:
        scans=SCANS,
        references=lambda wildcards: {
            scan_id: {column: SHEET[scan_id].get(column) for column in REFERENCES}
            for scan_id in COMPARED[wildcards.batch]
        },
        given=lambda wildcards: sorted(GIVEN.intersection(COMPARED[wildcards.batch])),
        measure=SETTINGS["measure"],
        version=STAGE_VERSIONS["compare"],
    message:
        "Compare {wildcards.batch} with its references"
    script:
        "../workflow_scripts/compare_root.py"
