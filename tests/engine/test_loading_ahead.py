"""The first job of a worker comes while it still loads what jobs need."""

import os
import subprocess
import sys

AT_ONCE = """
from histobridge.engine import workers
workers.dask_setup(None)
from histobridge.core.segment.networks import build_network
print(sum(weight.numel() for weight in build_network("tiny", 3).parameters()))
"""


def test_a_job_may_come_while_the_worker_loads_ahead():
    """Both import MONAI, whose packages import each other in circles: the first job failed, whatever it was."""
    environment = os.environ | {"HISTOBRIDGE_LOAD_AHEAD": "torch,monai.networks.nets"}
    done = subprocess.run(
        [sys.executable, "-c", AT_ONCE],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0
