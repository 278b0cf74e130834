rule write_paper:
    input:
        scans=f"{COHORT}/scans.csv",
        calcium=f"{COHORT}/calcium.csv",
        scores=f"{COHORT}/scores.csv",
        segmentation=f"{COHORT}/segmentation.csv",
        agreement=f"{COHORT}/agreement.csv",
        categories=f"{COHORT}/categories.csv",
        laboratory=f"{COHORT}/laboratory.csv",
        laboratory_agreement=f"{COHORT}/laboratory_agreement.csv",
        k_fits=f"{COHORT}/k_fits.csv",
        associations=f"{COHORT}/associations.csv",
        provenance=f"{COHORT}/provenance.json",
    output:
        folder=directory(f"{COHORT}/paper"),
    log:
        f"{LOGS}/write_paper.log",
    conda:
        "../envs/cpu.yaml"
    params:
        version=STAGE_VERSIONS["paper"],
    message:
        "Write what goes into a paper"
    script:
        "../workflow_scripts/write_paper.py"
