"""Write what goes into a paper. In: the cohort's tables, provenance.json. Out: paper/."""

from pathlib import Path

from calcohort.logs import job_log
from calcohort.outcomes import read_record
from calcohort.paper.paper import write_paper
from calcohort.tables import read_table

if __name__ == "__main__":
    source = snakemake.input
    with job_log(snakemake.log[0]):
        files = {name: Path(path) for name, path in source.items() if path.endswith(".csv")}
        write_paper(
            Path(snakemake.output.folder),
            {name: read_table(path) for name, path in files.items()},
            files,
            read_record(source.provenance),
        )
