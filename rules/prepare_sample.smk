rule prepare_sample:
    input:
        lambda wildcards: existing(wildcards.scan_id, "reference_root_mask"),
        converted=lambda wildcards: f"{RESULTS}/batches/{BATCH_OF[wildcards.scan_id]}/convert.json",
    output:
        image=f"{STORE}/{{scan_id}}_image.npy",
        label=f"{STORE}/{{scan_id}}_label.npy",
        record=f"{STORE}/{{scan_id}}.json",
    log:
        f"{LOGS}/prepare_sample/{{network}}/{{scan_id}}.log",
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=4000,
    params:
        scan=f"{SCANS}/{{scan_id}}",
        mask=lambda wildcards: SHEET[wildcards.scan_id]["reference_root_mask"],
        view=VIEW,
        block_kji=lambda wildcards: TRAINING[wildcards.network]["block_kji"],
        cube=CUBE,
        version=STAGE_VERSIONS["prepare"],
    message:
        "Prepare {wildcards.scan_id} for {wildcards.network}"
    script:
        "../workflow_scripts/prepare_sample.py"
