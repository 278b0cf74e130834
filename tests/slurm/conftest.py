"""The test cluster, shared by the tests of this folder."""

import pytest
from cluster import Unavailable, running_cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A running SLURM; the tests are skipped where none can be had."""
    try:
        with running_cluster(tmp_path_factory.mktemp("slurm") / "cluster") as cluster:
            yield cluster
    except Unavailable as reason:
        pytest.skip(str(reason))
