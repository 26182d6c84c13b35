"""Long loops: in a worker, in a program that an agent host starts, and alone."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import unittest

from support import PATIENCE, ROOT, HubTest, kirosu, until

PROGRAM = """
import kirosu
with kirosu.Monitor(heartbeat_seconds=0.2) as monitor:
    for tick in monitor.every(0.05):
        monitor.progress({"tick": tick})
        if tick == 3:
            monitor.enqueue("it happened", idempotency_key="once", queue="alarms")
print("the loop has ended", flush=True)
"""


class InWorkers(HubTest):
    def test_a_loop_reports_enqueues_once_and_ends_with_its_task(self) -> None:
        ended = threading.Event()

        def handler(run: kirosu.Run) -> None:
            try:
                with kirosu.Monitor(run) as monitor:
                    for tick in monitor.every(0.01):
                        monitor.progress({"tick": tick})
                        if tick > 2:
                            monitor.enqueue("it happened", idempotency_key="once", queue="alarms")
            finally:
                ended.set()

        self.work(handler)
        begun = self.until_event(lambda event: event.kind == "progress" and event.data["data"]["tick"] > 5, ["progress"])
        task = self.hub.enqueue("watch it")
        self.assertTrue(begun.wait(PATIENCE))
        self.hub.cancel(task)
        self.assertTrue(ended.wait(PATIENCE))
        alarms = list(self.hub.list(queue="alarms"))
        self.assertEqual([(alarm.prompt, alarm.raw["parent_id"]) for alarm in alarms], [("it happened", task)])

    def test_a_loop_that_a_signal_ends_is_given_back(self) -> None:
        worker = self.script(
            "-c",
            "import kirosu\n"
            "def handler(run):\n"
            "    with kirosu.Monitor(run) as monitor:\n"
            "        for tick in monitor.every(0.01):\n"
            "            if tick == 0: print('started', flush=True)\n"
            "    return 'not reached'\n"
            "kirosu.Worker(handler).run()\n",
        )
        task = self.hub.enqueue("watch it")
        assert worker.stdout is not None
        self.assertEqual(worker.stdout.readline(), "started\n")
        worker.send_signal(signal.SIGTERM)
        self.finished(worker)
        left = self.hub.get(task)
        self.assertEqual((left.status, left.raw["attempts"]), ("queued", 0))


class Alone(HubTest):
    def test_a_signal_ends_the_loop_of_a_plain_program(self) -> None:
        child = self.script("-c", PROGRAM)
        until("the loop enqueues", lambda: list(self.hub.list(queue="alarms")))
        child.send_signal(signal.SIGTERM)
        self.assertEqual(self.finished(child), "the loop has ended\n")

    def test_a_refused_heartbeat_ends_the_loop(self) -> None:
        task = self.hub.enqueue("watch it")
        self.hub.call("hello", session_id="s")
        lease = self.hub.call("lease", lease_seconds=60)["tasks"][0]
        child = self.script(
            "-c",
            PROGRAM,
            KIROSU_HUB=self.server.address,
            KIROSU_TOKEN=lease["run_token"],
            KIROSU_TASK_ID=str(task),
        )
        until("the loop enqueues", lambda: list(self.hub.list(queue="alarms")))
        self.hub.cancel(task)
        self.assertEqual(self.finished(child), "the loop has ended\n")


class InAgents(HubTest):
    up = True
    settings = (
        "providers.script.kind=command",
        f"providers.script.command={json.dumps([sys.executable, '-'])}",
        "pool.p.provider=script",
        f"pool.p.env.PYTHONPATH={os.pathsep.join(path for path in sys.path if path)}",
    )

    def test_the_program_of_a_run_adds_children_and_ends_with_its_task(self) -> None:
        task = self.hub.enqueue(PROGRAM)
        begun = self.until_event(lambda event: event.kind == "progress" and event.data["data"]["tick"] > 5, ["progress"])
        self.assertTrue(begun.wait(PATIENCE), self.hub.get(task))
        alarms = list(self.hub.list(queue="alarms"))
        self.assertEqual([alarm.raw["parent_id"] for alarm in alarms], [task])
        self.hub.cancel(task)
        self.assertEqual(self.hub.wait([task], timeout=PATIENCE)[0].status, "cancelled")


class Parents(HubTest):
    up = True
    settings = (
        "providers.script.kind=command",
        f"providers.script.command={json.dumps([sys.executable, str(ROOT / 'tests' / 'waiting_program.py')])}",
        "pool.p.provider=script",
        InAgents.settings[-1],
    )

    def test_a_program_of_a_run_waits_for_its_children(self) -> None:
        task = self.hub.enqueue("parent")
        done = self.hub.wait([task], timeout=PATIENCE)[0]
        self.assertEqual((done.status, done.result), ("done", "children: ['42']"), done.error)
        self.assertEqual(done.raw["attempts"], 1)


if __name__ == "__main__":
    unittest.main()
