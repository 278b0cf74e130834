rule judge_fold:
    input:
        learned_masks(),
        converted=LEARNED_SEALS,
        split=f"{TRAINED}/split.csv",
        weights=f"{TRAINED}/{{fold}}/{{network}}.weights.h5",
    output:
        f"{TRAINED}/{{fold}}/scans.csv",
    log:
        f"{LOGS}/judge_fold/{{network}}/{{fold}}.log",
    conda:
        "../envs/network.yaml"
    threads: NETWORK_THREADS
    resources:
        mem_mb=8000,
        gpu=GPUS,
    params:
        scans=SCANS,
        masks={scan_id: SHEET[scan_id]["reference_root_mask"] for scan_id in LEARNED},
        view=VIEW,
        shape=lambda wildcards: {
            key: TRAINING[wildcards.network][key]
            for key in ("filters", "depth", "block_kji")
        },
        device=SETTINGS["device"],
        version=STAGE_VERSIONS["judge"],
    message:
        "Judge {wildcards.network}, {wildcards.fold}"
    script:
        "../workflow_scripts/judge_fold.py"
