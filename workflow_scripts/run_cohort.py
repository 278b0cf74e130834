"""Run a study from cron: one at a time, healed after a crash, with a log and a status line.

With `dicom_root` in the config, new series are found first (index_series.py).

Exit codes: 0 all is done; 1 some steps failed (the log names them, the next run tries again);
2 a mistake in the set-up; 75 another run is at work.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import yaml
from calcohort.cron import BUSY, DONE, MISTAKE, STEPS_FAILED, Busy, Run, write_status
from calcohort.forecast import read_progress
from calcohort.outcomes import UserError
from calcohort.study import read_config, read_scan_ids, read_settings, read_sheet, sheet_of


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", default="slurm", help="as snakemake's (default %(default)s)")
    parser.add_argument("--configfile", type=Path, help="as snakemake's: laid over config.yaml")
    parser.add_argument("--logs", type=Path, default="logs/cohort", help="default %(default)s")
    parser.add_argument("--on-failure", help="command that gets the status line as its input")
    return parser.parse_args(arguments)


def snakemake_command(asked: argparse.Namespace, prefix: str) -> list[str]:
    """Snakemake's command line; `prefix` begins the names of the jobs on SLURM.

    Raises
    ------
    UserError
        When the profile does not exist.
    """
    command = [str(Path(sys.executable).parent / "snakemake"), "--profile", asked.profile]
    path = Path(asked.profile, "config.yaml")
    if not path.is_file():
        raise UserError(f"There is no {path}; run in the repository's root or name your --profile.")
    profile = yaml.safe_load(path.read_text(encoding="utf-8"))
    if profile.get("executor") == "slurm":
        command += ["--slurm-jobname-prefix", prefix]
    return command + (["--configfile", str(asked.configfile)] if asked.configfile else [])


def index(asked: argparse.Namespace, lock: int) -> str:
    """Find new series, in a process that holds the lock too; return its line.

    Raises
    ------
    UserError
        When the index was not brought up to date: the study is not run without its new scans.
    """
    command = [sys.executable, str(Path(__file__).with_name("index_series.py"))]
    command += ["--configfile", str(asked.configfile)] if asked.configfile else []
    done = subprocess.run(command, capture_output=True, text=True, pass_fds=[lock])
    if done.returncode:
        raise UserError(done.stderr.strip()[-500:] or "index_series.py was killed")
    return done.stdout.strip()


def run(asked: argparse.Namespace) -> tuple[int, str]:
    """Heal, find new series, run, and count the scans.

    Returns
    -------
    code, text
        The exit code and what the status line tells.

    Raises
    ------
    Busy, UserError
        When another run is at work; for a mistake in the set-up.
    """
    settings = read_settings(read_config(asked.configfile))
    found = ""
    if not settings.get("dicom_root"):
        read_sheet(sheet_of(settings))
    cohort = Run(Path.cwd(), asked.logs)
    with cohort.locked() as lock:
        command = snakemake_command(asked, cohort.prefix)
        healed = cohort.heal(command)
        if settings.get("dicom_root"):
            found = index(asked, lock)
        scan_ids = read_scan_ids(sheet_of(settings))
        if not scan_ids:
            return DONE, f"OK no scans yet; {found}"
        code, log = cohort.snakemake(command, lock)
    progress = read_progress(scan_ids, Path(settings["results"], "scans"))
    counts = ", ".join(f"{name} {number}" for name, number in progress.counts.items())
    told = "; ".join(filter(None, (counts, found, healed, f"log {log}")))
    return (STEPS_FAILED, f"FAILED {told}") if code else (DONE, f"OK {told}")


if __name__ == "__main__":
    asked = parse()
    try:
        code, text = run(asked)
    except Busy as reason:
        print(f"run_cohort: {reason}")
        sys.exit(BUSY)
    except UserError as problem:
        code, text = MISTAKE, f"FAILED {problem}"
    line = write_status(asked.logs / "status.txt", text)
    print(line)
    if code and asked.on_failure:
        subprocess.run(asked.on_failure, shell=True, input=line + "\n", text=True, check=False)
    sys.exit(code)
