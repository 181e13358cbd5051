"""An address where something else listens is told in bounded time."""

import socket
import threading
import time

import pytest

from histobridge.engine import connecting
from histobridge.engine.connecting import NoAnswerError, connect


@pytest.fixture
def serve(monkeypatch):
    """Return what starts a server with one answer and returns its address."""
    monkeypatch.setattr(connecting, "CONNECT_SECONDS", 0.5)
    monkeypatch.setattr(connecting, "ANSWER_SECONDS", 0.1)
    listening, accepted = socket.create_server(("127.0.0.1", 0)), []

    def start(answer):
        def accept():
            while True:
                try:
                    there, _ = listening.accept()
                except OSError:
                    return
                accepted.append(there)
                there.sendall(answer)
                if answer == b"closed":
                    there.close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        return f"tcp://127.0.0.1:{listening.getsockname()[1]}"

    yield start
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    for there in accepted:
        there.close()


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 64, b"closed"],
    ids=["mute", "web page", "zeros", "closed at once"],
)
def test_what_is_no_scheduler_is_told_and_waited_for_no_longer_than_a_while(serve, answer):
    """A web page's port hung the engine's thread for ever, or ended it for want of memory."""
    where, began = serve(answer), time.monotonic()
    with pytest.raises(NoAnswerError, match=r"does not answer as a dask scheduler does.*is that the dashboard's"):
        connect(where, None)
    assert time.monotonic() - began < 5
