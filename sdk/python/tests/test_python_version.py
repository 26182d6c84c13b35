"""Scripts of the Python version: its names, signatures, results and exceptions."""

from __future__ import annotations

import asyncio
import pathlib
import subprocess
import sys
import threading
import unittest
from typing import Any
from unittest import mock

from support import KEY, PATIENCE, HubTest, kirosu

from kirosu import providers, strategy
from kirosu.agent import HubClient, KiroAgent
from kirosu.client import SwarmClient
from kirosu.config import get_agent_config, load_config, load_mcp_config
from kirosu.db import Task, TaskStore
from kirosu.hub import run_hub
from kirosu.utils import TaskSplitter


class Clients(HubTest):
    def client(self) -> HubClient:
        return HubClient("127.0.0.1", self.server.port)

    def test_a_client_has_the_key_of_the_environment_and_errors_are_runtime_errors(self) -> None:
        client = self.client()
        self.assertEqual(client.call("enqueue", {"prompt": "x"}), {"task_id": 1})
        self.assertEqual(client.call("list", {"limit": 10})["tasks"][0]["prompt"], "x")
        client.auth_token = "wrong"
        with self.assertRaisesRegex(RuntimeError, "Hub error: .*Invalid KIRO_SWARM_KEY"):
            client.call("stats")
        client.auth_token = KEY
        with self.assertRaisesRegex(RuntimeError, "Hub error: .*Unknown method: x"):
            client.call("x")
        self.kill_hub()
        with self.assertRaises(OSError):
            client.call("stats")
        self.restart_hub()
        self.assertEqual(client.call("stats")["stats"]["total_tasks"], 1)

    def test_the_asynchronous_client(self) -> None:
        async def main() -> dict[str, Any]:
            async with SwarmClient(port=self.server.port) as client:
                task_id = await client.add_task("x", task_type="chat")
                with self.assertRaises(ValueError):
                    await client.get_task(99)
                with self.assertRaisesRegex(RuntimeError, "RPC Error: "):
                    await client._send_request("x", {})
                return await client.get_task(task_id)

        self.assertEqual(asyncio.run(main())["status"], "queued")

    def test_the_splitter(self) -> None:
        self.work(lambda run: run.prompt.upper())
        splitter = TaskSplitter("127.0.0.1", self.server.port)
        ids = splitter.split_and_enqueue(["a", "b", "c"], "do {item}", batch_size=2)
        results = splitter.wait_for_completion(ids, poll_interval=0.01)
        self.assertEqual([results[task_id]["result"] for task_id in ids], ["DO A\n---\nB", "DO C"])

    def test_the_splitter_without_a_key(self) -> None:
        server = kirosu.HubServer(str(self.folder / "keyless.db"), arguments=["--quiet"], environment={"KIRO_SWARM_KEY": ""})
        self.addCleanup(server.stop)
        with mock.patch.dict("os.environ", {"KIRO_SWARM_KEY": "", "KIROSU_DATA_DIR": str(self.folder / "elsewhere")}):
            splitter = TaskSplitter("127.0.0.1", server.port)
            ids = splitter.split_and_enqueue(["a"], "do {item}")
            task = splitter.client.call("lease", {})["tasks"][0]
            splitter.client.call("ack", {"task_id": task["task_id"], "status": "done", "result": "did"})
            self.assertEqual(splitter.wait_for_completion(ids, poll_interval=0.01)[ids[0]]["result"], "did")

    def test_an_agent_runs_tasks_one_after_another(self) -> None:
        with mock.patch.dict("os.environ", {"KIRO_PROVIDER": "echo"}):
            agent = KiroAgent("127.0.0.1", self.server.port)
        agent.workdir = str(self.folder)
        (self.folder / ".kiro").mkdir()
        (self.folder / ".kiro" / "context.md").write_text("context")
        with mock.patch.object(agent.provider, "run", side_effect=lambda prompt, system, folder: f"{system}|{prompt}"):
            task = self.hub.enqueue("x", system_prompt="system")
            agent._tick()
        self.assertEqual(self.hub.get(task).result, "context\n\nsystem|x")
        with mock.patch.object(agent.provider, "run", side_effect=RuntimeError("no")):
            task = self.hub.enqueue("y")
            agent._tick()
        self.assertEqual((self.hub.get(task).status, self.hub.get(task).error), ("failed", "no"))
        loop = threading.Thread(target=agent.run_loop, daemon=True)
        loop.start()
        self.assertEqual(self.hub.results([self.hub.enqueue("z")], timeout=PATIENCE), ["z"])


class Hubs(HubTest):
    def test_a_hub_in_a_thread_until_its_shutdown(self) -> None:
        ports: list[int] = []
        ready, ended = threading.Event(), list[int]()

        def target() -> None:
            ended.append(run_hub(str(self.folder / "old.db"), "127.0.0.1", 0, 300, lambda port: (ports.append(port), ready.set())))

        thread = threading.Thread(target=target)
        thread.start()
        self.assertTrue(ready.wait(PATIENCE))
        client = HubClient("127.0.0.1", ports[0])
        task = client.call("enqueue", {"prompt": "Deploy?", "type": "human"})["task_id"]
        self.assertEqual(client.call("list", {"limit": 1})["tasks"][0]["task_id"], task)
        client.call("shutdown")
        thread.join(PATIENCE)
        self.assertEqual(ended, ports)

    def test_a_hub_that_cannot_start_is_an_error(self) -> None:
        with self.assertRaises(kirosu.KirosuError):
            run_hub(str(self.folder / "no" / "such" / "y.db"), "127.0.0.1", self.server.port, 300)

    def test_the_store_is_a_private_hub(self) -> None:
        store = TaskStore(str(self.folder / "store.db"))
        self.addCleanup(store.close)
        first = store.enqueue("a", system_prompt="s")
        store.enqueue("b")
        task = store.lease("w", 1, 10)[0]
        self.assertIsInstance(task, Task)
        self.assertEqual((task.task_id, task.prompt, task.system_prompt, task.worker_id), (first, "a", "s", "w"))
        store.ack(first, "done", "ok", None)
        store.ack(store.lease("w", 1, 10)[0].task_id, "failed", None, "oops")
        with self.assertRaises(ValueError):
            store.ack(first, "else", None, None)
        self.assertEqual([task.result for task in store.list("done", 0)], ["ok"])
        self.assertEqual(store.stats()["error_rate_percent"], 50.0)
        self.assertEqual(store.retry_all_failed(), 1)

    def test_the_command_line_is_that_of_the_program(self) -> None:
        printed = self.finished(self.script("-m", "kirosu.cli", "status", "--json"))
        self.assertIn("stats", printed)
        missing = subprocess.run(
            [sys.executable, "-m", "kirosu", "status"],
            env={"PYTHONPATH": ":".join(sys.path), "PATH": "/nowhere"},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual((missing.returncode, missing.stderr.count("KIROSU_BIN")), (127, 1))


class Strategies(unittest.TestCase):
    def answer(self, text: str, status: int = 0) -> Any:
        ended = subprocess.CompletedProcess([], status, text, "no login")
        return mock.patch("subprocess.run", return_value=ended)

    def test_suggestions(self) -> None:
        with self.answer('```json\n{"topology": "parallel"}\n```'):
            self.assertEqual(strategy.suggest_strategy("x"), {"topology": "parallel"})
        with self.answer("I think"):
            self.assertEqual(strategy.suggest_strategy("x")["raw_response"], "I think")
        with self.answer("", 1):
            self.assertEqual(strategy.suggest_strategy("x"), {"error": "kiro-cli failed: no login", "topology": "single"})

    def test_providers(self) -> None:
        with self.answer("yes") as run, mock.patch.dict("os.environ", {"KIRO_CODEX_EXTRA_ARGS": "--search '-c a=b'"}):
            self.assertEqual(providers.get_provider("codex", "m").run("p", "s", "/tmp"), "yes")
        command = run.call_args[0][0]
        self.assertEqual(command[-3:], ["--search", "-c a=b", "System: s\n\nUser: p"])
        with self.assertRaises(ValueError):
            providers.get_provider("unknown")


class Settings(unittest.TestCase):
    @unittest.skipIf(sys.version_info < (3, 11), "TOML needs Python 3.11")
    def test_local_files_come_before_global_ones(self) -> None:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            one, other = pathlib.Path(folder, "one"), pathlib.Path(folder, "other")
            one.write_text('[agents.a]\nmodel = "m"\nworkdir = "w"')
            other.write_text('[agents.a]\nmodel = "n"')
            with mock.patch("kirosu.config.GLOBAL_CONFIG_FILE", one), mock.patch("kirosu.config.LOCAL_CONFIG_FILE", other):
                self.assertEqual(get_agent_config("a"), {"model": "n", "workdir": "w"})
                self.assertEqual(get_agent_config("b"), {})
                other.write_text("[")
                with mock.patch("kirosu.config.log") as log:
                    self.assertEqual(load_config()["agents"]["a"]["model"], "m")
                log.warning.assert_called_once()
            with mock.patch("kirosu.config.GLOBAL_MCP_FILE", one), mock.patch("kirosu.config.LOCAL_MCP_FILE", other):
                one.write_text('{"mcpServers": {"a": {"command": "x"}}}')
                other.unlink()
                self.assertEqual(load_mcp_config(), {"mcpServers": {"a": {"command": "x"}}})


if __name__ == "__main__":
    unittest.main()
