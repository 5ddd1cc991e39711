"""Associations whose bytes are damaged: a good recording of one, mutated and played again."""

from __future__ import annotations

import contextlib
import socket
import threading

import numpy as np

from tests.builders.mutations import mutate


class _Recorder(threading.Thread):
    """Forwards a connection and records what the client sends, by the time of its answers."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port, self._target = self.listener.getsockname()[1], port
        self.pieces = [b""]

    def run(self):
        client, _ = self.listener.accept()
        node = socket.create_connection(("127.0.0.1", self._target))
        back = threading.Thread(target=self._copy, args=(node, client, False), daemon=True)
        back.start()
        self._copy(client, node, True)
        back.join(5)
        for each in (client, node, self.listener):
            each.close()

    def _copy(self, source, target, record):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if record:
                    self.pieces[-1] += data
                elif self.pieces[-1]:
                    self.pieces.append(b"")
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


def record(port, use):
    """What ``use(port)`` sends to a node, in pieces between which the node answers."""
    recorder = _Recorder(port)
    recorder.start()
    use(recorder.port)
    recorder.join(10)
    return [piece for piece in recorder.pieces if piece]


def play(port, pieces, random: np.random.Generator, seconds=0.15):
    """Send the pieces, one or more of them damaged, swapped or left out; then leave."""
    replay(port, damaged(pieces, random), seconds)


def damaged(pieces, random: np.random.Generator):
    pieces = list(pieces)
    for _ in range(int(random.integers(1, 4))):
        index = int(random.integers(len(pieces)))
        way = int(random.integers(8))
        if way == 0:
            pieces[index] = bytes(random.integers(0, 256, 64, np.uint8))
        elif way == 1 and len(pieces) > 1:
            del pieces[index]
        elif way == 2:
            pieces.insert(index, pieces[int(random.integers(len(pieces)))])
        else:
            pieces[index] = mutate(pieces[index], random, header=400)
    return pieces


def replay(port, pieces, seconds=0.15):
    """Send pieces, waiting for an answer to each; then leave. Returns the answers."""
    answers = []
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as link:
        link.settimeout(seconds)
        for piece in pieces:
            link.sendall(piece)
            with contextlib.suppress(TimeoutError):
                answers.append(link.recv(1 << 16))
                if not answers[-1]:
                    break
    return answers
