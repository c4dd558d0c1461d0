"""Ray without a CPU: a cluster that grows from none is waited for, a laptop is refused."""

import os
import subprocess
import sys

import pytest

HEAD = """
import os
from ray.cluster_utils import Cluster
from digitrec.errors import InputError
cluster = Cluster(initialize_head=True, connect=True, head_node_args={"num_cpus": 0})
from digitrec.report import study
from digitrec.training import fit
"""
ALONE = """
for what in (study._at_once, lambda: fit.gpu_wanted("auto", 1)):
    try:
        print(what())
    except InputError as why:
        print(why)
"""
GROWING = """
os.environ["RAY_ADDRESS"] = cluster.address
print(study._at_once(), fit.gpu_wanted("auto", 1))
cluster.add_node(num_cpus=2)
cluster.wait_for_nodes()
print(study._at_once())
"""


@pytest.mark.slow
def test_only_a_cluster_may_have_no_cpu_yet() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    ended = subprocess.run(
        [sys.executable, "-c", HEAD + ALONE + GROWING],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.stdout.splitlines() == [
        "a study needs a CPU: Ray's session on this machine has none",
        "--workers 1 needs as many CPUs: this machine has 0",
        "1 False",
        "2",
    ], ended.stderr
