"""A real SLURM on this machine for the tests: one controller, two nodes with fake GPUs.

Debian's slurm-wlm and munge are installed where they are missing. A fake GPU is a character device
that SLURM counts and hands out (CUDA_VISIBLE_DEVICES), so two jobs never get the same one. The
configuration must lie in /etc/slurm, because the executor plugin's job step drops SLURM_CONF.
"""

import contextlib
import fcntl
import os
import shutil
import socket
import stat
import subprocess
import time
from pathlib import Path

CONF_FOLDER = Path("/etc/slurm")
OURS = "# Calcohort's test cluster\n"
NODES, GPUS_PER_NODE, CPUS_PER_NODE, MEMORY_MB_PER_NODE = 2, 2, 32, 60_000
CONTROLLER_PORT, NODE_PORT = 16817, 16900
WAIT_S = 120


class Unavailable(Exception):
    """SLURM cannot be had on this machine; the text says why."""


def install() -> None:
    """Install SLURM and munge where they are missing.

    Raises
    ------
    Unavailable
        Without root rights, without apt, or beside a SLURM that is somebody else's.
    """
    if os.geteuid() != 0:
        raise Unavailable("SLURM's daemons need root rights")
    conf = CONF_FOLDER / "slurm.conf"
    if conf.exists() and not conf.read_text().startswith(OURS):
        raise Unavailable(f"{conf} belongs to another SLURM")
    if all(map(shutil.which, ("slurmctld", "slurmd", "munged"))):
        return
    apt = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300"]
    packages = ["install", "--no-install-recommends", "slurm-wlm", "munge"]
    if not shutil.which("apt-get"):
        raise Unavailable("SLURM is not installed and there is no apt-get")
    for command in ([*apt, *packages], [*apt, "update"], [*apt, *packages]):
        done = subprocess.run(command, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
        if done.returncode == 0 and "install" in command:
            return
    raise Unavailable("apt-get could not install slurm-wlm and munge")


def _daemon(*command: str, user: str | None = None) -> subprocess.Popen:
    """Start a daemon that ends with this process, even when that is killed."""
    identity = ["--reuid", user, "--regid", user, "--clear-groups"] if user else []
    return subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", *identity, *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _stop(daemon: subprocess.Popen) -> None:
    daemon.terminate()
    try:
        daemon.wait(20)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def ask(*command: str) -> str:
    """Run a command of SLURM and return what it prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def wait_until(condition, what: str, wait_s: float = WAIT_S) -> None:
    """Wait until `condition()` is true."""
    end = time.monotonic() + wait_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.3)


class Cluster:
    """The daemons of the test cluster.

    Parameters
    ----------
    folder : Path
        State, logs and devices of the cluster.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.munged = self.controller = None
        self.nodes: dict[str, subprocess.Popen] = {}

    def start(self) -> None:
        """Write the configuration, start the daemons, wait until both nodes are idle."""
        for name in ("state", "log", "dev"):
            (self.folder / name).mkdir(parents=True)
        devices = [self.folder / "dev" / f"nvidia{number}" for number in range(GPUS_PER_NODE)]
        for device in devices:
            os.mknod(device, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        CONF_FOLDER.mkdir(exist_ok=True)
        names = [f"n{number}" for number in range(NODES)]
        (CONF_FOLDER / "slurm.conf").write_text(self._configuration(names))
        gres = [f"NodeName={n} Name=gpu Type=fake File={d}\n" for n in names for d in devices]
        (CONF_FOLDER / "gres.conf").write_text("".join(gres))
        if not _munge_answers():
            for folder in ("/run/munge", "/var/log/munge", "/var/lib/munge"):
                os.makedirs(folder, exist_ok=True)
                shutil.chown(folder, "munge", "munge")
            self.munged = _daemon("munged", "--foreground", user="munge")
            wait_until(_munge_answers, "munge does not answer")
        self.start_controller()
        for name in names:
            self.nodes[name] = _daemon("slurmd", "-D", "-N", name)
        wait_until(lambda: self.states() == {"idle"}, f"nodes are not idle: {self.folder / 'log'}")

    def stop(self) -> None:
        """Cancel all jobs and stop the daemons, by their own ids."""
        with contextlib.suppress(subprocess.CalledProcessError):
            ask("scancel", "--me", "--full")
            wait_until(lambda: not ask("squeue", "-h", "-t", "R,CG"), "jobs do not end", 30)
        for daemon in (*self.nodes.values(), self.controller, self.munged):
            if daemon:
                _stop(daemon)
        for name in ("slurm.conf", "gres.conf"):
            (CONF_FOLDER / name).unlink(missing_ok=True)

    def start_controller(self) -> None:
        """Start the controller; it takes up the state that it left."""
        self.controller = _daemon("slurmctld", "-D")

    def stop_controller(self) -> None:
        """Stop the controller; jobs go on."""
        _stop(self.controller)

    def resume(self, node: str) -> None:
        """Return a node that is down to service; it may have come back by itself."""
        with contextlib.suppress(subprocess.CalledProcessError):
            ask("scontrol", "update", f"nodename={node}", "state=resume")
        wait_until(lambda: "down" not in self.states(), f"node {node} stays down")

    def states(self) -> set[str]:
        """States of the nodes, an empty set while the controller does not answer."""
        with contextlib.suppress(subprocess.CalledProcessError):
            return set(ask("sinfo", "-h", "-N", "-p", "cpu", "-o", "%T").split())
        return set()

    def _configuration(self, names: list[str]) -> str:
        folder, host = self.folder, socket.gethostname().split(".")[0]
        nodes = [
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={NODE_PORT + number} "
            f"CPUs={CPUS_PER_NODE} RealMemory={MEMORY_MB_PER_NODE} Gres=gpu:fake:{GPUS_PER_NODE}\n"
            for number, name in enumerate(names)
        ]
        return f"""{OURS}
ClusterName=calcohort
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={CONTROLLER_PORT}
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
KillWait=3
SlurmdTimeout=60
MinJobAge=3600
SchedulerParameters=sched_interval=5,bf_interval=5,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
{"".join(nodes)}
PartitionName=cpu Nodes={",".join(names)} Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes={",".join(names)} MaxTime=INFINITE State=UP
"""


def _munge_answers() -> bool:
    return subprocess.run(["munge", "-n"], capture_output=True).returncode == 0


@contextlib.contextmanager
def running_cluster(folder: Path):
    """Yield a started `Cluster`; test runs that overlap wait for one another."""
    with open("/run/lock/calcohort-test-slurm", "w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        install()
        cluster = Cluster(folder)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()
