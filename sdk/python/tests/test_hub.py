"""The clients, against a real hub."""

from __future__ import annotations

import asyncio
import re
import subprocess
import threading
import unittest

from support import KEY, PATIENCE, HubTest, kirosu


def upper(run: kirosu.Run) -> str:
    if run.prompt.startswith("fail"):
        raise kirosu.TaskError("it had to", "bad_input")
    return run.prompt.upper()


class Tasks(HubTest):
    def test_map_returns_the_results_in_the_order_of_the_items(self) -> None:
        self.work(upper, concurrency=4)
        items = [{"name": f"n{i}", "n": i} for i in range(50)]
        results = self.hub.map("{name}: {item[n]} ({index})", items, timeout=PATIENCE)
        self.assertEqual(results, [f"N{i}: {i} ({i})" for i in range(50)])
        self.assertEqual(self.hub.map(lambda item: f"<{item}>", ["a"]), ["<A>"])

    def test_a_task_that_fails_is_an_exception_with_the_task(self) -> None:
        self.work(upper)
        with self.assertRaises(kirosu.TaskFailed) as caught:
            self.hub.map("{item}", ["good", "fail this", "good too"])
        self.assertEqual(caught.exception.task.status, "failed")
        self.assertEqual(caught.exception.task.error, "it had to")
        tasks = self.hub.map_tasks("{item}", ["fail", "x"])
        self.assertEqual([task.status for task in tasks], ["failed", "done"])

    def test_batches_are_within_the_limits_of_the_hub(self) -> None:
        ids = self.hub.enqueue_many((f"t{i}" for i in range(4500)), queue="many", labels=["batch"])
        self.assertEqual(len(set(ids)), 4500)
        self.assertEqual(ids, sorted(ids))
        large = self.hub.enqueue_many(["x" * 3_000_000] * 8, queue="large")
        self.assertEqual(len(large), 8)
        listed = [task.task_id for task in self.hub.list(queue="many", page=1000)]
        self.assertEqual(listed, sorted(ids, reverse=True))
        self.assertEqual(self.hub.cancel(label="batch"), 4500)
        self.assertEqual(self.hub.wait_group(label="batch"), {"cancelled": 4500})

    def test_errors_have_the_code_and_data_of_the_protocol(self) -> None:
        with self.assertRaises(kirosu.UnknownTask) as unknown:
            self.hub.get(99)
        self.assertEqual((unknown.exception.code, unknown.exception.name), (-32002, "unknown_task"))
        with self.assertRaises(kirosu.InvalidParams):
            self.hub.enqueue("x", priority=5000)
        with self.assertRaises(kirosu.TooLarge):
            self.hub.enqueue("x" * (17 * 1024 * 1024))
        task = self.hub.enqueue("x")
        self.hub.cancel(task, reason="not needed")
        self.assertEqual(self.hub.get(task).error, "cancelled: not needed")
        with self.assertRaises(kirosu.WrongState) as state:
            self.hub.call("ack", task_id=task, status="done")
        self.assertEqual(state.exception.data["status"], "cancelled")
        self.assertEqual(self.hub.retry(task), 1)
        with self.assertRaises(kirosu.HubError) as method:
            self.hub.call("frobnicate")
        self.assertEqual(method.exception.name, "method_not_found")

    def test_a_wrong_key_is_refused(self) -> None:
        with self.assertRaisesRegex(kirosu.Unauthorized, "Invalid KIRO_SWARM_KEY"):
            kirosu.Hub(self.server.address, key="wrong").stats()

    def test_a_wait_ends_in_time(self) -> None:
        task = self.hub.enqueue("x", queue="none")
        with self.assertRaisesRegex(kirosu.WaitTimeout, f"{task} is queued"):
            self.hub.wait([task], timeout=0.05)

    def test_tasks_are_yielded_as_they_end(self) -> None:
        first, second = self.hub.enqueue_many(["a", "b"])
        ended = self.hub.as_completed([first, second])
        self.hub.cancel(second)
        self.assertEqual(next(ended).task_id, second)
        self.hub.cancel(first)
        self.assertEqual([task.task_id for task in ended], [first])

    def test_an_idempotency_key_makes_one_task(self) -> None:
        first = self.hub.enqueue("x", idempotency_key="k")
        self.assertEqual(self.hub.enqueue("x", idempotency_key="k"), first)
        self.assertNotEqual(self.hub.enqueue("x"), self.hub.enqueue("x"))

    def test_threads_share_a_client(self) -> None:
        ids: list[int] = []
        threads = [threading.Thread(target=lambda: ids.append(self.hub.enqueue("x"))) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(set(ids)), 20)


class Reconnects(HubTest):
    settings = ("lease.heartbeat_grace=0s",)

    def test_requests_survive_a_crash_of_the_hub(self) -> None:
        hub = kirosu.Hub(self.server.address, key=KEY, patience=None)
        self.addCleanup(hub.close)
        task = hub.enqueue("x")
        waited: list[str | None] = []
        waiting = threading.Thread(target=lambda: waited.append(hub.wait([task])[0].result))
        waiting.start()
        self.kill_hub()
        adding: list[int] = []
        added = threading.Thread(target=lambda: adding.append(hub.enqueue("y")))
        added.start()
        self.restart_hub()
        added.join(PATIENCE)
        self.assertEqual(len(adding), 1)
        self.work(upper)
        waiting.join(PATIENCE)
        self.assertEqual(waited, ["X"])
        self.assertEqual(self.hub.stats()["total_tasks"], 2, "no request was carried out twice")

    def test_without_a_hub_the_patience_ends(self) -> None:
        self.server.stop()
        with self.assertRaises(OSError):
            kirosu.Hub(self.server.address, key=KEY, patience=0.2).stats()
        closed = kirosu.Hub(self.server.address, patience=None)
        closed.close()
        with self.assertRaises(kirosu.Disconnected):
            closed.stats()


class Asynchronous(HubTest):
    def test_many_requests_share_a_connection(self) -> None:
        self.work(upper, concurrency=4)

        async def main() -> None:
            async with kirosu.AsyncHub(self.server.address, key=KEY) as hub:
                ids = await asyncio.gather(*(hub.enqueue(f"t{i}") for i in range(200)))
                waits = await asyncio.gather(*(hub.results([task]) for task in ids))
                self.assertEqual(waits, [[f"T{i}"] for i in range(200)])
                self.assertEqual(len([task async for task in hub.list(page=7)]), 200)
                agents = await hub.call("agents", all=True)
                # This client, the worker, and the client that each test has but has not used.
                self.assertEqual(len(agents["connections"]), 2)

        asyncio.run(main())


class Addresses(HubTest):
    def test_a_run_has_the_address_and_token_of_its_variables(self) -> None:
        task = self.hub.enqueue("parent")
        self.hub.call("hello", session_id="s")
        lease = self.hub.call("lease", lease_seconds=60)["tasks"][0]
        environment = {"KIROSU_HUB": self.server.address, "KIROSU_TOKEN": lease["run_token"], "KIROSU_TASK_ID": str(task)}
        program = (
            "import kirosu\n"
            "child = kirosu.Hub().enqueue('child', queue='kids')\n"
            "kirosu.current_run().progress({'child': child})\n"
            "try: kirosu.Hub().stats()\n"
            "except kirosu.Forbidden as why: print(why.data['right'])\n"
        )
        self.assertEqual(self.finished(self.script("-c", program, **environment)), "run\n")
        child = next(iter(self.hub.list(queue="kids")))
        self.assertEqual(child.raw["parent_id"], task)
        self.assertEqual(self.hub.call("get", task_id=task)["progress"], {"child": child.task_id})
        self.hub.call("ack", task_id=task, fence=lease["fence"], status="done")
        late = self.script("-c", "import kirosu\ntry: kirosu.current_run().progress(1)\nexcept kirosu.RunStopped: print('over')", **environment)
        self.assertEqual(self.finished(late), "over\n")

    def test_a_unix_socket(self) -> None:
        path = str(self.folder / "hub.sock")
        server = kirosu.HubServer(str(self.folder / "other.db"), arguments=["--quiet", "--socket", path])
        self.addCleanup(server.stop)
        with kirosu.Hub(path, key=KEY) as hub:
            self.assertEqual(hub.stats()["total_tasks"], 0)

    def test_the_key_of_the_data_folder(self) -> None:
        server = kirosu.HubServer(str(self.folder / "own.db"), arguments=["--quiet"], environment={"KIRO_SWARM_KEY": ""})
        self.addCleanup(server.stop)
        program = "import kirosu; print(kirosu.Hub().get(kirosu.Hub().enqueue('x')).status)"
        environment = {"KIRO_SWARM_KEY": "", "KIRO_SWARM_PORT": str(server.port)}
        self.assertEqual(self.finished(self.script("-c", program, **environment)), "queued\n")
        # Without the key a client has only the methods of the Python version.
        refused = "import kirosu\ntry: kirosu.Hub().get(1)\nexcept kirosu.Forbidden as why: print(why.data['right'])"
        environment["KIROSU_DATA_DIR"] = str(self.folder / "elsewhere")
        self.assertEqual(self.finished(self.script("-c", refused, **environment)), "observe\n")

    def test_tls(self) -> None:
        made = subprocess.run(
            [kirosu.find_binary(), "--json", "tls", "new", "--name", "localhost", "--out", str(self.folder / "tls")],
            check=True,
            capture_output=True,
            text=True,
        )
        fingerprint = re.search("sha256:[0-9a-f]{64}", made.stdout + made.stderr)
        assert fingerprint is not None
        files = [f"hub.tls_certificate={self.folder}/tls/certificate.pem", f"hub.tls_key={self.folder}/tls/key.pem"]
        server = kirosu.HubServer(
            str(self.folder / "tls.db"), arguments=["--quiet", *(word for file in files for word in ("--set", file))]
        )
        self.addCleanup(server.stop)
        address = f"localhost:{server.port}"
        for trust in ({"tls_fingerprint": fingerprint[0]}, {"tls_ca": f"{self.folder}/tls/certificate.pem"}):
            with kirosu.Hub(address, key=KEY, **trust) as hub:
                self.assertEqual(hub.stats()["total_tasks"], 0)
        with self.assertRaises(kirosu.WrongHub):
            kirosu.Hub(address, key=KEY, tls_fingerprint="sha256:" + "0" * 64).stats()


if __name__ == "__main__":
    unittest.main()
