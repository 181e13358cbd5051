"""An engine that runs nothing, and a hand that writes the states and results of runs."""

import os
import socket

import numpy as np
import psutil

from histobridge.core.config import FineTuneConfig, ProposeConfig
from histobridge.core.files import write_json
from histobridge.core.gate import Gate, Score, TileScore
from histobridge.core.runs import RunState


class FakeEngine:
    """Remembers what it was asked; tests write the states by hand."""

    def __init__(self):
        self.submitted, self.cancelled, self.closed = [], [], False

    def submit(self, run):
        self.submitted.append(run.id)

    def cancel(self, run):
        self.cancelled.append(run.id)
        run.request_cancel()

    def reattach(self, project):
        return []

    def close(self):
        self.closed = True


def say(run, status, **values):
    """Write the state of a run as the process that works on it would."""
    process = {"pid": os.getpid(), "host": socket.gethostname(), "pid_started": psutil.Process().create_time()}
    run.write_state(RunState(status=status, **(process | values)))


def submitted(window, engine):
    """Verb and config of what the window has handed to the engine."""
    return [
        (item.verb, item.run.config) for item in window.session.followed.values() if item.run.id in engine.submitted
    ]


def proposed(project, images, value=1, **config):
    """A finished run of `propose` that gave every pixel of some images one class."""
    import zarr

    run = project.create_run("propose", ProposeConfig(**config))
    for record in images:
        folder = run.path / "proposals" / record.id
        for name, each in (("classes", value), ("confidence", 200)):
            zarr.save_array(folder / name, np.full(record.shape, each, np.uint8))
        write_json(folder / "proposal.json", {"fractions": {str(value): 1.0}, "confidence": 0.8})
    result = {"images": [record.id for record in images], "route": config.get("route", "tutorship")}
    say(run, "finished", result=result | {"translator": "instant"})
    return run


def tuned(project, before, after, **gate):
    """A finished run of `finetune` with its verdict; a promotion on two held-out tiles unless told otherwise."""
    run = project.create_run("finetune", FineTuneConfig())
    tiles = [TileScore(image="sem", tile=f"r000c00{index}", before=before, after=after) for index in range(2)]
    values = {"verdict": "promote", "reason": "It is not worse.", "tiles": tiles} | gate
    verdict = Gate(score=Score(before=before, after=after), **values)
    write_json(run.path / "gate.json", verdict.model_dump(mode="json"))
    say(run, "finished")
    return run
