"""Run alternative implementations of a task in separate processes that take turns.

Libraries disturb each other in one process, because each has threads that wait by spinning. So each
implementation gets a fresh process, which prepares itself and then runs only when it is its turn.
"""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any


class Server:
    """A process that holds one way ready.

    ``make(*arguments)`` runs in the process and returns a function; what that returns, each time
    it is its turn, comes back here. Both must be functions of a module.
    """

    def __init__(self, make: Callable[..., Callable[[], Any]], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._end, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, make, arguments))
        self._process.start()
        other.close()
        # Made one after another, so that none is measured while another one starts.
        self._answer()

    def turn(self) -> Any:
        self._end.send(True)
        return self._answer()

    def stop(self) -> None:
        if self._process.is_alive():
            self._end.send(False)
            self._process.join(10)
        if self._process.is_alive():
            self._process.kill()

    def _answer(self) -> Any:
        failed, answer = self._end.recv()
        if failed:
            raise RuntimeError(answer)
        return answer


def take_turns(
    ways: dict[Any, tuple[Callable[..., Callable[[], Any]], tuple]], rounds: int
) -> dict[Any, list]:
    """What every way gave in each round. ``ways``: for each, a ``make`` and its arguments."""
    servers: dict[Any, Server] = {}
    seen: dict[Any, list] = {way: [] for way in ways}
    try:
        for way, (make, arguments) in ways.items():
            servers[way] = Server(make, *arguments)
        for _ in range(rounds):
            for way, server in servers.items():
                seen[way].append(server.turn())
    finally:
        for server in servers.values():
            server.stop()
    return seen


def _serve(end: Connection, make: Callable, arguments: tuple) -> None:
    try:
        turn = make(*arguments)
        end.send((False, None))
        while end.recv():
            end.send((False, turn()))
    except EOFError:
        # The process of the table is gone.
        return
    except Exception as error:
        end.send((True, f"{make.__name__}{arguments}: {type(error).__name__}: {error}"))
        raise
