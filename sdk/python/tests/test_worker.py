"""Workers against a real hub: leases, fences, heartbeats, stops, children."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
import unittest

from support import KEY, PATIENCE, HubTest, kirosu, until


class Results(HubTest):
    def test_results_usage_and_classes_of_failures(self) -> None:
        def handler(run: kirosu.Run) -> object:
            run.output("working\n")
            run.progress({"percent": 50})
            run.add_usage(input_tokens=3, output_tokens=1)
            run.add_usage(input_tokens=4, cost_usd=0.5)
            if run.prompt == "later":
                raise kirosu.TaskError("limit", "rate_limited", retry_at=time.time() + 3600)
            if run.prompt == "crash":
                raise KeyError("gone")
            return kirosu.Outcome({"n": 1}, accepted=True, model="m") if run.prompt == "json" else run.prompt

        self.work(handler)
        later, crash, text, json = self.hub.enqueue_many(["later", "crash", "text", "json"])
        scheduled = self.until_event(lambda event: event.status == "scheduled" and event.task_id == later, ["task"])
        crashed, texted, jsoned = self.hub.wait([crash, text, json], timeout=PATIENCE)
        self.assertEqual((crashed.status, crashed.error), ("failed", "KeyError: 'gone'"))
        self.assertEqual((texted.result, jsoned.json()), ("text", {"n": 1}))
        answer = self.hub.call("get", task_id=json, output=True)
        usage = answer["attempts"][0]["usage"]
        self.assertEqual((usage["input_tokens"], usage["output_tokens"], usage["cost_usd"]), (7, 1, 0.5))
        self.assertEqual(answer["output"][0]["text"], "working\n")
        self.assertEqual(answer["progress"], {"percent": 50})
        if self.hub.get(later).status != "scheduled":
            self.assertTrue(scheduled.wait(PATIENCE))

    def test_a_task_with_conditions_needs_a_handler_that_checks_them(self) -> None:
        self.work(lambda run: kirosu.Outcome("yes", accepted=run.prompt == "checked"))
        checked, not_checked = self.hub.enqueue_many(["checked", "not"], accept={"regex": "yes"})
        good, bad = self.hub.wait([checked, not_checked], timeout=PATIENCE)
        self.assertEqual((good.status, bad.status), ("done", "failed"))
        self.assertIn("has not checked", bad.error or "")

    def test_a_coroutine_handler(self) -> None:
        async def handler(run: kirosu.AsyncRun) -> str:
            await run.progress(1)
            await asyncio.sleep(0)
            return run.prompt[::-1]

        self.work(handler, concurrency=10)
        self.assertEqual(self.hub.map("ab{item}", range(30), timeout=PATIENCE), [f"ab{i}"[::-1] for i in range(30)])

    def test_queues_types_and_pauses(self) -> None:
        self.work(lambda run: run.task.queue, queues=["a", "b"], types=["mine"])
        ids = [self.hub.enqueue("x", queue=queue, type="mine") for queue in ("a", "b")]
        other = self.hub.enqueue("x", queue="a")
        self.assertEqual(self.hub.results(ids, timeout=PATIENCE), ["a", "b"])
        self.assertEqual(self.hub.get(other).status, "queued")

    def test_the_timeout_of_a_task_ends_its_run(self) -> None:
        stopped = threading.Event()

        def handler(run: kirosu.Run) -> None:
            run.pause(PATIENCE)
            stopped.set()

        self.work(handler, grace_seconds=5)
        task = self.hub.enqueue("x", timeout_seconds=0.1)
        self.assertIn("longer than 0.1 s", self.hub.wait([task], timeout=PATIENCE)[0].error or "")
        self.assertTrue(stopped.wait(PATIENCE))
        self.assertEqual(self.hub.call("get", task_id=task)["attempts"][0]["outcome"], "timeout")


class Leases(HubTest):
    settings = ("lease.heartbeat_grace=0s",)

    def test_heartbeats_keep_a_lease_that_is_shorter_than_its_run(self) -> None:
        self.work(lambda run: str(run.pause(4.5)), lease_seconds=2)
        task = self.hub.enqueue("x")
        self.assertEqual(self.hub.wait([task], timeout=PATIENCE)[0].result, "True")
        self.assertEqual(self.hub.get(task).raw["attempts"], 1)

    def test_a_cancelled_task_stops_its_run_at_once(self) -> None:
        started, reasons = threading.Event(), list[object]()

        def handler(run: kirosu.Run) -> None:
            started.set()
            reasons.append(run.pause(PATIENCE))
            reasons.append(run.reason)
            with self.assertRaises(kirosu.RunStopped):
                run.progress("late")

        self.work(handler)
        task = self.hub.enqueue("x")
        self.assertTrue(started.wait(PATIENCE))
        self.hub.cancel(task, reason="not needed")
        until("the run was stopped", lambda: len(reasons) == 2)
        self.assertEqual(reasons, [False, "not needed"])
        self.assertEqual(self.hub.map("{item}", [], timeout=1), [])

    def test_a_run_survives_a_crash_of_the_hub(self) -> None:
        started, go = threading.Event(), threading.Event()

        def handler(run: kirosu.Run) -> str:
            started.set()
            go.wait(PATIENCE)
            return "survived"

        self.work(handler)
        task = self.hub.enqueue("x")
        self.assertTrue(started.wait(PATIENCE))
        self.kill_hub()
        go.set()
        self.restart_hub()
        done = self.hub.wait([task], timeout=PATIENCE)[0]
        self.assertEqual((done.result, done.raw["attempts"]), ("survived", 1))

    def test_a_worker_that_was_killed_loses_its_task_to_another_one(self) -> None:
        first = self.script(
            "-c",
            "import kirosu\n"
            "def handler(run):\n"
            "    print('started', flush=True)\n"
            "    run.pause(600)\n"
            "kirosu.Worker(handler, lease_seconds=1).run()\n",
        )
        task = self.hub.enqueue("x")
        assert first.stdout is not None
        self.assertEqual(first.stdout.readline(), "started\n")
        first.kill()
        self.work(lambda run: "second", name="second")
        done = self.hub.wait([task], timeout=PATIENCE)[0]
        self.assertEqual((done.result, done.raw["worker_id"]), ("second", "second"))


class Stops(HubTest):
    SCRIPT = (
        "import kirosu, os\n"
        "def handler(run):\n"
        # One write for the line: two handlers print at the same time.
        "    os.write(1, b'started\\n')\n"
        "    if run.prompt == 'short':\n"
        "        run.pause(600)\n"
        "        return 'finished'\n"
        "    __import__('threading').Event().wait()\n"
        "kirosu.Worker(handler, concurrency=2, grace_seconds=3).run()\n"
        "print('ended')\n"
    )

    def test_signals_give_leases_back_and_let_short_runs_end(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            worker = self.script("-c", self.SCRIPT)
            short, long = self.hub.enqueue_many(["short", "long"])
            assert worker.stdout is not None
            self.assertEqual([worker.stdout.readline() for _ in range(2)], ["started\n"] * 2)
            worker.send_signal(number)
            self.assertEqual(self.finished(worker), "ended\n")
            self.assertEqual(self.hub.get(short).result, "finished")
            left = self.hub.call("get", task_id=long)
            self.assertEqual((left["task"]["status"], left["task"]["attempts"]), ("queued", 0))
            self.assertEqual(left["attempts"][0]["outcome"], "released")
            self.hub.cancel(long)

    def test_an_idle_worker_stops_at_once_and_leaves_no_lease(self) -> None:
        worker = self.script("-c", self.SCRIPT)
        until("the worker waits", lambda: self.hub.call("agents")["agents"])
        worker.send_signal(signal.SIGTERM)
        self.assertEqual(self.finished(worker), "ended\n")
        task = self.hub.enqueue("x")
        self.assertEqual(self.hub.get(task).status, "queued")

    def test_a_worker_whose_key_lacks_the_right_ends_with_the_error(self) -> None:
        key = self.hub.call("key_add", name="ci", role="observe")["key"]
        with self.assertRaises(kirosu.Forbidden):
            kirosu.Worker(lambda run: None, hub=self.server.address, key=key, grace_seconds=1).run()

    def test_a_key_for_workers_suffices_also_for_children(self) -> None:
        key = self.hub.call("key_add", name="w", role="work")["key"]

        def handler(run: kirosu.Run) -> str:
            return run.step("one", "child") + "!" if run.prompt == "parent" else run.prompt

        worker = kirosu.Worker(handler, hub=self.server.address, key=key)
        thread = threading.Thread(target=worker.run)
        thread.start()
        self.addCleanup(thread.join, PATIENCE)
        self.addCleanup(worker.stop)
        self.assertEqual(self.hub.results([self.hub.enqueue("parent")], timeout=PATIENCE), ["child!"])


class Children(HubTest):
    def test_steps_run_in_the_place_of_the_run_that_waits_for_them(self) -> None:
        """One place and one queue: without it the children would wait for their parents, and these for the children."""

        def handler(run: kirosu.Run) -> str:
            kind, _, rest = run.prompt.partition(" ")
            if kind != "parent":
                return rest
            return "+".join(run.map("part", "leaf {item}", range(3))) + run.step("last", "leaf end")

        self.work(handler)
        ids = self.hub.enqueue_many(["parent 1", "parent 2", "parent 3"])
        self.assertEqual(self.hub.results(ids, timeout=PATIENCE), ["0+1+2end"] * 3)
        self.assertEqual(self.hub.stats()["total_tasks"], 15)

    def test_steps_that_are_done_stay_done_when_the_run_is_repeated(self) -> None:
        runs: list[str] = []

        def handler(run: kirosu.Run) -> str:
            runs.append(run.prompt)
            if run.prompt != "parent":
                return f"{run.prompt} done"
            first = run.step("first", "a")
            if runs.count("parent") == 1:
                raise RuntimeError("the program crashed")
            return first + ", " + run.step("second", "b")

        self.work(handler)
        task = self.hub.enqueue("parent", max_attempts=3, retry={"initial_seconds": 0.01})
        self.assertEqual(self.hub.results([task], timeout=PATIENCE), ["a done, b done"])
        self.assertEqual(runs, ["parent", "a", "parent", "b"])

    def test_a_step_that_has_failed_is_tried_again_and_a_changed_one_is_refused(self) -> None:
        runs: list[str] = []

        def handler(run: kirosu.Run) -> str:
            runs.append(run.prompt)
            if run.prompt == "parent":
                try:
                    return run.step("one", "flaky")
                except kirosu.TaskFailed:
                    with self.assertRaises(kirosu.InvalidParams):
                        run.step("one", "another prompt")
                    return run.step("one", "flaky")
            if runs.count("flaky") == 1:
                raise RuntimeError("once")
            return "good"

        self.work(handler)
        self.assertEqual(self.hub.results([self.hub.enqueue("parent")], timeout=PATIENCE), ["good"])

    def test_a_parent_waits_for_its_children_without_occupying_the_worker(self) -> None:
        parents: list[int] = []

        def handler(run: kirosu.Run) -> str:
            if run.prompt != "parent":
                return run.prompt.upper()
            parents.append(len(run.children))
            for name in ("a", "b"):
                run.enqueue_child(name, idempotency_key=name)
            try:
                children = run.wait_children()
            except Exception:
                self.fail("a handler that catches exceptions must not keep the run alive")
            return "".join(task.result or "" for task in children)

        self.work(handler)
        task = self.hub.enqueue("parent")
        self.assertEqual(self.hub.results([task], timeout=PATIENCE), ["AB"])
        self.assertEqual(parents, [0, 2])
        self.assertEqual(self.hub.get(task).raw["attempts"], 1)

    def test_the_same_with_coroutines(self) -> None:
        async def handler(run: kirosu.AsyncRun) -> str:
            if run.prompt != "parent":
                return run.prompt.upper()
            await run.start("a", "a")
            first = await run.step("b", "b")
            return first + "".join([task.result or "" for task in await run.wait_children()])

        self.work(handler)
        self.assertEqual(self.hub.results([self.hub.enqueue("parent")], timeout=PATIENCE), ["BAB"])


if __name__ == "__main__":
    unittest.main()
