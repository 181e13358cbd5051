"""Quick jobs leave a full GPU to the training, and say so."""

import pytest
import torch

from histobridge.core import device
from histobridge.core.config import MatchConfig
from histobridge.core.job import finish
from histobridge.core.matching import match_domains


@pytest.fixture
def gpu(monkeypatch):
    """A GPU with so many free bytes, as torch tells of one."""

    def make(free):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free, 8 * 2**30))

    return make


def test_a_quick_job_takes_the_gpu_if_it_has_room(gpu):
    gpu(device.QUICK_BYTES)
    assert device.quick_device() == ("cuda", "")


def test_without_a_gpu_there_is_nothing_to_say(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device.quick_device() == ("cpu", "")


def test_matching_beside_a_training_that_fills_the_gpu_runs_on_the_cpu_and_says_so(gpu, loop):
    gpu(400_000_000)
    config, said = MatchConfig(scale_factor=2.0), []
    run = loop.project.create_run("match", config)
    finish(match_domains(loop.project, run, config), lambda progress: said.append(progress.message))
    assert said[-1] == "matched on the CPU, as GPU memory is short (0.4 GB free)"
