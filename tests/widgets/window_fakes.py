"""An engine that runs nothing, and a hand that writes the states of runs."""

import os
import socket

import psutil

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
