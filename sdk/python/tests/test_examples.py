"""Each example, as a program against a real hub."""

from __future__ import annotations

import signal
import unittest

from support import PATIENCE, ROOT, HubTest, until

EXAMPLES = ROOT / "examples"


class WithAgents(HubTest):
    up = True
    settings = ("pool.p.provider=echo",)

    def example(self, name: str, *arguments: str) -> str:
        return self.finished(self.script(str(EXAMPLES / name), *arguments))

    def test_map(self) -> None:
        self.assertEqual(
            self.example("map.py", "red", "blue"), "red: Name a fruit that is red.\nblue: Name a fruit that is blue.\n"
        )

    def test_plan(self) -> None:
        first = self.example("plan.py", "Why?")
        self.assertIn("As a poet, answer: Why?", first)
        tasks = self.hub.stats()["total_tasks"]
        self.assertEqual(self.example("plan.py", "Why?"), first)
        self.assertEqual(self.hub.stats()["total_tasks"], tasks, "no step was repeated")

    def test_events(self) -> None:
        lines = self.example("events.py", "2").splitlines()
        for task in (1, 2):
            states = [line.partition(": ")[2] for line in lines if line.startswith(f"task {task}:")]
            self.assertEqual(states, ["queued", "leased", "done"])


class WithWorkers(HubTest):
    def test_worker(self) -> None:
        worker = self.script(str(EXAMPLES / "worker.py"))
        task, empty = self.hub.enqueue_many(["one two two", " "], queue="words")
        done, failed = self.hub.wait([task, empty], timeout=PATIENCE)
        self.assertEqual(done.json(), {"words": 3, "different": 2})
        self.assertEqual(failed.error, "there are no words")
        worker.send_signal(signal.SIGTERM)
        self.finished(worker)

    def test_monitor(self) -> None:
        inbox = self.folder / "inbox"
        inbox.mkdir()
        (inbox / "a.txt").write_text("a")
        monitor = self.script(str(EXAMPLES / "monitor.py"))
        task = self.hub.enqueue(str(inbox), queue="monitors")
        until("a task for the first file", lambda: list(self.hub.list(queue="summaries")))
        (inbox / "b.txt").write_text("b")
        until("a task for the second file", lambda: len(list(self.hub.list(queue="summaries"))) == 2)
        monitor.send_signal(signal.SIGTERM)
        self.finished(monitor)
        self.assertEqual(self.hub.get(task).status, "queued")


if __name__ == "__main__":
    unittest.main()
