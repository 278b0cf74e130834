"""Write the gallery. In: tables, reviews, pictures. Out: gallery.html, what its pages share."""

from pathlib import Path

from calcohort.logs import job_log
from calcohort.report.gallery import write_assets, write_gallery
from calcohort.report.outliers import find_outliers
from calcohort.reviews import read_reviews
from calcohort.tables import read_table

if __name__ == "__main__":
    source, output, params = snakemake.input, snakemake.output, snakemake.params
    with job_log(snakemake.log[0]):
        scans, calcium = read_table(source.scans), read_table(source.calcium)
        outliers = find_outliers(scans, calcium, read_table(source.agreement), params.rule_name)
        write_gallery(
            Path(output.page),
            scans=scans,
            calcium=calcium,
            outliers=outliers,
            reviews=next(map(read_reviews, source.reviews), {}),
            rule=params.rule_name,
            scan_pages=params.scan_pages,
        )
        write_assets(Path(output.assets))
