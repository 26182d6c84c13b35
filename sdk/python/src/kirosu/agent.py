"""The client and the agent of the Python version. New programs use `Hub` and `Worker`."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import threading
import time
import uuid
from typing import Any

from . import _address
from ._link import Link
from ._loop import close_with
from ._loop import run as _run
from ._requests import given, new_key, repeatable
from .config import get_agent_config, load_mcp_config
from .errors import Disconnected, HubError
from .providers import get_provider

DEFAULT_MODEL = "claude-haiku-4.5"
_LEASE_SECONDS = 300
_WAIT_SECONDS = 60.0

log = logging.getLogger("kirosu.agent")


class HubClient:
    """A client with one method. It connects with the first call; a call on a broken connection connects once more.

    `auth_token` is the key: at first `KIRO_SWARM_KEY`, or the token of the run that started the program.
    """

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.auth_token = _address.key_for(host, port)
        self._link: Link | None = None

    def call(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """Sends a request and returns its result.

        Raises `RuntimeError` (`HubError`) with the hub's error, and `OSError` if the hub cannot be reached.
        """
        wanted = dict(params or {})
        if self.auth_token:
            wanted["auth_token"] = self.auth_token
        # A request that is sent again must not add a second task.
        own_key = method == "enqueue" and not wanted.get("idempotency_key")
        if own_key:
            wanted["idempotency_key"] = new_key()
        try:
            result = _run(self._request(method, wanted))
        except HubError as why:
            error = {"message": why.message, "code": why.code, "data": why.data}
            raise type(why)(f"Hub error: {error}", why.code, why.data) from None
        if own_key:
            result = given({"task_id": result["task_id"]})
        return result

    async def _request(self, method: str, params: dict[str, Any]) -> Any:
        if self._link is None:
            self._link = Link(_address.Address(self.host, self.port), hello=None, patience=0)
            close_with(self, self._link.close)
        try:
            return await self._link.request(method, params)
        except Disconnected:
            if not repeatable(method, params):
                raise
            return await self._link.request(method, params)


class KiroAgent:
    """An agent that runs the tasks of one hub with a provider, one after another.

    `kirosu agent` is the supervised form. The variables `KIRO_PROVIDER` and `MITTELO_KIRO_MODEL` choose provider and model.
    """

    def __init__(
        self,
        host: str,
        port: int,
        model: str | None = None,
        workdir: str | None = None,
        agent_name: str | None = None,
    ) -> None:
        settings = get_agent_config(agent_name) if agent_name else {}
        self.client = HubClient(host, port)
        self.worker_id = f"kiro-{uuid.uuid4().hex[:8]}"
        self.mcp_config = load_mcp_config()
        self.model: str = model or settings.get("model") or os.environ.get("MITTELO_KIRO_MODEL") or DEFAULT_MODEL
        self.workdir: str | None = workdir or settings.get("workdir")
        self.provider = get_provider(os.environ.get("KIRO_PROVIDER"), self.model)

    def run_loop(self, poll_interval: float = 1.0, log_file: str | None = None, verbose: bool = False) -> None:
        """Runs tasks until it is interrupted. Each request waits in the hub; `poll_interval` is the pause after an error."""
        handlers: list[logging.Handler] = [logging.StreamHandler()]
        if log_file:
            handlers.append(logging.FileHandler(log_file))
        level = logging.DEBUG if verbose else logging.INFO
        logging.basicConfig(level=level, format="%(asctime)s [%(levelname)s] %(message)s", handlers=handlers, force=True)
        log.info("Agent %s started. Hub: %s:%s", self.worker_id, self.client.host, self.client.port)
        while True:
            asked = False
            try:
                asked = self._tick(_WAIT_SECONDS) is True
            except Exception as why:
                log.error("Error in agent loop: %s", why)
            if not asked:
                time.sleep(poll_interval)

    def _tick(self, wait_seconds: float = 0) -> bool:
        """Runs a task, if there is one within the time; true when the hub has answered."""
        wanted: dict[str, Any] = {"worker_id": self.worker_id, "max_tasks": 1, "lease_seconds": _LEASE_SECONDS}
        if wait_seconds:
            wanted["wait_seconds"] = wait_seconds
        for task in self.client.call("lease", wanted).get("tasks", []):
            self._carry_out(task)
        return True

    def _carry_out(self, task: dict[str, Any]) -> None:
        task_id, kind = task["task_id"], task.get("type", "chat")
        log.info("Leased task %s (%s): %.50s", task_id, kind, task["prompt"])
        # Without the fence a late ack could end the run of another agent.
        lease: dict[str, Any] = given({"task_id": task_id, "fence": task.get("fence")})
        report, ended = dict(lease), threading.Event()
        threading.Thread(target=self._beat, args=(lease, ended), daemon=True).start()
        try:
            if kind == "python":
                report.update(status="done", result=self._run_python(task["prompt"]))
            else:
                report.update(status="done", result=self._run_kiro(task["prompt"], self._system_prompt(task)))
        except Exception as why:
            report.update(status="failed", error=str(why))
        finally:
            ended.set()
        self.client.call("ack", report)
        log.info("Task %s %s.", task_id, report["status"])
        log.debug("Task %s: %s", task_id, json.dumps(report.get("result") or report.get("error")))

    def _beat(self, lease: dict[str, Any], ended: threading.Event) -> None:
        """Extends a lease until its run has ended, so that a run that is longer than the lease is not run twice."""
        while not ended.wait(_LEASE_SECONDS / 3):
            try:
                self.client.call("heartbeat", lease)
            except HubError as why:
                # Without a key the hub has no heartbeats; a lost lease shows in the answer to the ack.
                log.debug("No heartbeat for task %s: %s", lease["task_id"], why)
                return
            except OSError:
                continue

    def _run_kiro(self, prompt: str, system_prompt: str | None = None) -> str:
        return self.provider.run(prompt, system_prompt, self.workdir)

    def _system_prompt(self, task: dict[str, Any]) -> str | None:
        """The task's system prompt after the text of `.kiro/context.md` in the folder, if there is one."""
        own: str | None = task.get("system_prompt")
        path = os.path.join(self.workdir or os.getcwd(), ".kiro", "context.md")
        try:
            with open(path, encoding="utf-8") as file:
                context = file.read()
        except FileNotFoundError:
            return own
        except (OSError, UnicodeDecodeError) as why:
            log.warning("Cannot read %s: %s", path, why)
            return own
        return f"{context}\n\n{own}" if own else context

    def _run_python(self, code: str) -> str:
        """Runs code of the task with the rights of this process. A hub hands such tasks out only after an opt-in."""
        log.warning("Running the Python code of a task")
        ended = subprocess.run(["python3", "-c", code], capture_output=True, text=True, check=False, cwd=self.workdir)
        if ended.returncode != 0:
            output = (ended.stderr or ended.stdout or "").strip()
            raise RuntimeError(f"Python execution failed (code {ended.returncode}): {output}")
        return ended.stdout or ""
