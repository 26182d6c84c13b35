"""The hub, under the names of the Python version: it runs in a child process, the program `kirosu`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._binary import HubServer
from .agent import HubClient

__all__ = ["HubClient", "HubServer", "run_hub"]

# The Python version's tests import the class by this name.
_HubState = HubServer


def run_hub(
    db_path: str,
    host: str,
    port: int,
    lease_seconds: int,
    ready_callback: Callable[[int], Any] | None = None,
) -> int:
    """Runs a hub until it is shut down, and returns its port, which `ready_callback` gets when clients can connect.

    Tasks of the type `python` need the variable `KIROSU_HUB__TRUST_ALL_TOOLS=true`.

    Raises `KirosuError` if it does not start.
    """
    server = HubServer(db_path, host, port, lease_seconds)
    try:
        if ready_callback is not None:
            ready_callback(server.port)
        server.wait()
    finally:
        server.stop()
    return server.port
