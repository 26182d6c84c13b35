"""Real hubs for the tests: the program that KIROSU_BIN names, each in a temporary folder."""

from __future__ import annotations

import contextlib
import logging
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from collections.abc import Callable
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
if os.environ.get("KIROSU_SDK_INSTALLED") != "1":
    sys.path.insert(0, str(ROOT / "src"))

import kirosu  # noqa: E402

# Failures of tasks are part of the tests.
logging.getLogger("kirosu").setLevel(logging.CRITICAL)

KEY = "the key of the tests"
PATIENCE = 60.0
_FOREIGN = ("KIRO_", "KIROSU_", "MITTELO_")


class HubTest(unittest.TestCase):
    """A test with a hub of its own, and an environment in which only that hub is found."""

    up = False
    settings: tuple[str, ...] = ()

    def setUp(self) -> None:
        saved = dict(os.environ)
        self.addCleanup(lambda: (os.environ.clear(), os.environ.update(saved)))
        program = saved.get("KIROSU_BIN")
        if not program:
            self.fail("KIROSU_BIN must name the program kirosu")
        for name in saved:
            if name.startswith(_FOREIGN) or name.startswith("XDG_"):
                del os.environ[name]
        folder = tempfile.TemporaryDirectory(prefix="kirosu-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        os.environ.update(
            HOME=folder.name,
            KIROSU_BIN=program,
            # A gateway would be two more clients.
            KIROSU_GATEWAY__ENABLED="false",
            KIROSU_DATA_DIR=str(self.folder / "data"),
            KIRO_SWARM_KEY=KEY,
            KIROSU_LOG="warn",
            PYTHONPATH=os.pathsep.join(path for path in sys.path if path),
        )
        # Settings of the working directory and of the user must not reach the hub.
        settings = self.folder / "kirosu.toml"
        settings.write_text("")
        os.environ["KIROSU_CONFIG"] = str(settings)
        self.server = self.start_hub()
        os.environ["KIRO_SWARM_PORT"] = str(self.server.port)
        self.hub = kirosu.Hub(self.server.address, key=KEY)
        self.addCleanup(self.hub.close)

    def start_hub(self, port: int = 0) -> kirosu.HubServer:
        arguments = [word for setting in self.settings for word in ("--set", setting)]
        server = kirosu.HubServer(str(self.folder / "kirosu.db"), port=port, up=self.up, arguments=["--quiet", *arguments])
        self.addCleanup(server.stop)
        return server

    def person(self) -> kirosu.Hub:
        """A client with the rights of a person."""
        hub = kirosu.Hub(self.server.address, key=self.hub.call("key_add", name="ada", role="person")["key"])
        self.addCleanup(hub.close)
        return hub

    def kill_hub(self) -> None:
        """Kills the hub as `kill -9` does."""
        os.kill(self.server.pid, signal.SIGKILL)
        self.server.wait()

    def restart_hub(self) -> None:
        """Starts the killed hub again, with the same port and database."""
        self.server = self.start_hub(self.server.port)

    def work(self, handler: Callable[[Any], Any], **options: Any) -> kirosu.Worker:
        """A worker on a thread, which ends with the test."""
        worker = kirosu.Worker(handler, hub=self.server.address, key=KEY, **options)
        thread = threading.Thread(target=worker.run, daemon=True)
        thread.start()

        def end() -> None:
            worker.stop()
            worker.stop()
            thread.join(PATIENCE)
            self.assertFalse(thread.is_alive(), "the worker has ended")

        self.addCleanup(end)
        return worker

    def script(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """A Python program with the package, as a child process."""
        child = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        )

        def end() -> None:
            child.kill()
            child.wait()
            if child.stdout is not None:
                child.stdout.close()

        self.addCleanup(end)
        return child

    def finished(self, child: subprocess.Popen[str]) -> str:
        """The output of a program that ends well."""
        output, _ = child.communicate(timeout=PATIENCE)
        self.assertEqual(child.returncode, 0, output)
        return output

    def until_event(self, accept: Callable[[kirosu.Event], bool], kinds: list[str]) -> threading.Event:
        """Set by the first event that is accepted; the subscription is there when this returns."""
        seen, subscribed = threading.Event(), threading.Event()
        hub = kirosu.Hub(self.server.address, key=KEY)
        self.addCleanup(hub.close)
        start = hub.call("watch", kinds=kinds)

        def read() -> None:
            subscribed.set()
            # The test may end, and its hub with it, before the event comes.
            with contextlib.suppress(kirosu.KirosuError, OSError):
                for event in hub.events(kinds, since=start["seq"], boot_id=start["boot_id"]):
                    if accept(event):
                        seen.set()
                        return

        threading.Thread(target=read, daemon=True).start()
        subscribed.wait(PATIENCE)
        return seen


def until(what: str, look: Callable[[], Any]) -> Any:
    """The first true value of `look`, for states of other processes that no event reports."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := look():
            return found
        threading.Event().wait(0.01)
    raise AssertionError(f"not in time: {what}")
