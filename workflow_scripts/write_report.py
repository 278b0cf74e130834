"""Write the report. In: tables, figures, reviews. Out: report.html, provenance.json."""

from pathlib import Path

from calcohort.logs import job_log
from calcohort.outcomes import write_record
from calcohort.provenance import collect
from calcohort.report.associations import association_sections
from calcohort.report.drift import drift_sections
from calcohort.report.laboratory import laboratory_section
from calcohort.report.page import find_figures, write_report
from calcohort.report.passport import passport_sections
from calcohort.reviews import read_reviews
from calcohort.tables import read_table
from calcohort.versions import STAGE_VERSIONS

if __name__ == "__main__":
    source, output, params = snakemake.input, snakemake.output, snakemake.params
    with job_log(snakemake.log[0]):
        settings = params.settings
        tables = {
            name: read_table(source[name])
            for name in ("scans", "calcium", "segmentation", "agreement", "categories")
        }
        weights = {
            name: {"path": network["weights"], "sha256": network["sha256"]}
            for name, network in params.networks.items()
        }
        provenance = collect(settings, weights, STAGE_VERSIONS, settings["device"])
        write_record(output.provenance, provenance)
        rule = settings["measure"]["mask_rule"]
        laboratory = laboratory_section(
            read_table(source.laboratory_agreement),
            read_table(source.k_fits),
            settings["laboratory"]["rules"],
            rule,
        )
        write_report(
            Path(output.page),
            title="Calcium of the aortic root",
            further=[
                *passport_sections(read_table(source.scores)),
                laboratory,
                *association_sections(read_table(source.associations), rule),
                *drift_sections(read_table(source.control_charts), Path(source.drift)),
            ],
            figures=find_figures(Path(source.figures), rule),
            reviews=next(map(read_reviews, source.reviews), {}),
            provenance=provenance,
            **tables,
        )
