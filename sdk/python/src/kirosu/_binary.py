"""The program `kirosu`, which contains the hub; this package has none of its own."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence

from .errors import KirosuError

_READY = "KIRO_SWARM_HUB "


def find_binary() -> str:
    """The program: the variable `KIROSU_BIN`, else `kirosu` on `PATH`.

    Raises `KirosuError` without one.
    """
    path = os.environ.get("KIROSU_BIN") or shutil.which("kirosu")
    if path is None:
        raise KirosuError("the program `kirosu` is not on PATH; install it, or set KIROSU_BIN to its path")
    return path


class HubServer:
    """A hub as a child process: `kirosu hub`, or with `up` also the pools of the settings.

        with HubServer("tasks.db") as server:
            hub = Hub(server.address)

    `db_path` `None` means a database in a temporary folder, which is removed at the end. The hub's log goes to standard error.
    The child ends with `stop`, and at the end of this process, unless a signal kills it.

    Raises `KirosuError` if the hub does not start.
    """

    def __init__(
        self,
        db_path: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        lease_seconds: int | None = None,
        *,
        up: bool = False,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="kirosu-") if db_path is None else None
        path = db_path if self._folder is None else os.path.join(self._folder.name, "kirosu.db")
        command = [find_binary(), "up" if up else "hub", "--db", str(path), "--host", host, "--port", str(port)]
        if lease_seconds is not None:
            command += ["--lease-seconds", str(lease_seconds)]
        self._child = subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        atexit.register(self.stop)
        assert self._child.stdout is not None
        line = self._child.stdout.readline().strip()
        if not line.startswith(_READY):
            self.stop()
            raise KirosuError(f"the hub did not start (exit status {self._child.returncode}); its log says why")
        self.address = line.removeprefix(_READY).removeprefix("tcp://")
        self.port = int(self.address.rpartition(":")[2]) if ":" in self.address else 0

    def __enter__(self) -> HubServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process."""
        return self._child.pid

    def wait(self) -> int:
        """Waits until the hub ends; its exit status."""
        status = self._child.wait()
        self.stop()
        return status

    def stop(self) -> None:
        """Ends the hub as SIGTERM does. It has no effect on one that has ended."""
        atexit.unregister(self.stop)
        if self._child.poll() is None:
            self._child.terminate()
            self._child.wait()
        if self._child.stdout is not None:
            self._child.stdout.close()
        if self._folder is not None:
            self._folder.cleanup()
