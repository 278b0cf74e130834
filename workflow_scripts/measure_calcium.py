"""Measure calcium. In: ct.nii.gz, root_mask.nii.gz. Out: calcium mask, root voxels, numbers."""

from calcohort import volume
from calcohort.laboratory.voxels import take_voxels, write_voxels
from calcohort.logs import job_log
from calcohort.measure.measure import MeasureSettings, measure_calcium
from calcohort.measure.passport import Scored, passport, threshold_hu
from calcohort.measure.scores import Scoring
from calcohort.outcomes import read_record, run_stage


def measure_files(source, output, settings: MeasureSettings, scoring: Scoring | None) -> dict:
    """Measure the scan of the rule's input files; write its calcium mask and root voxels."""
    ct = volume.read(source.ct)
    root = volume.read_mask(source.root, ct.grid)
    findings, calcium = measure_calcium(ct, root, settings=settings, scoring=scoring)
    if scoring:
        scored = Scored(
            ct,
            root,
            threshold_hu(findings, scoring),
            connectivity=settings.connectivity,
            min_lesion_voxels=settings.min_lesion_voxels,
            slice_thickness_mm=read_record(source.series)["slice_thickness_mm"],
        )
        findings |= {"scores": passport(scored, scoring)}
    volume.write(output.mask, volume.Volume(calcium, ct.affine))
    voxels = take_voxels(
        ct,
        root,
        luminance_hu=findings["luminance_hu"],
        luminance_sd_hu=findings["luminance_sd_hu"],
        connectivity=settings.connectivity,
        min_lesion_voxels=settings.min_lesion_voxels,
    )
    write_voxels(output.voxels, voxels)
    return findings | {"root_source": read_record(source.upstream)["root_source"]}


if __name__ == "__main__":
    source, output = snakemake.input, snakemake.output
    with job_log(snakemake.log[0]):
        settings = MeasureSettings(**snakemake.params.settings)
        asked = snakemake.params.scores
        scoring = (
            Scoring(asked["contrast"], asked["mass_calibration"]) if asked["passport"] else None
        )
        run_stage(
            "measure",
            snakemake.wildcards.scan_id,
            lambda: measure_files(source, output, settings, scoring),
            record=output.record,
            upstream=[source.upstream],
            images=[output.mask, output.voxels],
        )
