"""The repository as a site has it: its own lines in the profile, its own studies."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


class Site:
    """A checkout whose SLURM profile is filled in for the test cluster.

    Parameters
    ----------
    folder : Path
        Where the checkout goes; all but the profile are links to this repository.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for path in ROOT.iterdir():
            if path.name not in ("slurm", "results") and not path.name.startswith("."):
                (folder / path.name).symlink_to(path)
        profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
        profile["config"] = ["device=cpu"]  # fake GPUs cannot compute; SLURM hands them out
        for rule in ("localise_batch", "segment_batch"):
            profile["set-resources"][rule] |= {"gpu": 1}
        profile |= {
            "slurm-status-command": "squeue",  # no accounting on the test cluster
            "slurm-init-seconds-before-status-checks": 2,
            "latency-wait": 10,
        }
        (folder / "slurm").mkdir()
        (folder / "slurm/config.yaml").write_text(yaml.safe_dump(profile))

    def start(self, config: Path, *arguments: str, command=("snakemake",)) -> subprocess.Popen:
        """Start `snakemake --profile slurm`, or another command, on a study's config."""
        program = [BIN / "snakemake", *command[1:]] if command[0] == "snakemake" else command
        everything = [*program, "--profile", "slurm", "--configfile", config, *arguments]
        return subprocess.Popen(
            [*map(str, everything)],
            cwd=self.folder,
            env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, config: Path, *arguments: str) -> tuple[int, str]:
        """Run to the end; return exit code and output."""
        process = self.start(config, *arguments)
        output, _ = process.communicate()
        return process.returncode, output
