"""Subscriptions against a real hub."""

from __future__ import annotations

import asyncio
import unittest

from support import KEY, HubTest, kirosu


class Events(HubTest):
    def test_events_since_a_number_come_in_order_and_once(self) -> None:
        start = self.hub.call("watch")
        ids = self.hub.enqueue_many(["a", "b", "c"])
        seen = []
        for event in self.hub.events(["task"], since=start["seq"], boot_id=start["boot_id"]):
            seen.append(event)
            if len(seen) == 3:
                break
        self.assertEqual([event.task_id for event in seen], ids)
        self.assertEqual({event.status for event in seen}, {"queued"})
        rest = self.hub.events(["task"], since=seen[1].seq, boot_id=seen[1].boot_id)
        self.assertEqual(next(rest), seen[2])

    def test_events_of_one_task_and_of_questions(self) -> None:
        person = self.person()

        async def main() -> None:
            async with kirosu.AsyncHub(self.server.address, key=KEY) as hub:
                start = await hub.call("watch")
                events = hub.events(since=start["seq"], boot_id=start["boot_id"])
                task = await hub.enqueue("deploy", requires_approval=True)
                kinds = []
                async for event in events:
                    kinds.append((event.kind, event.task_id))
                    if event.kind == "question":
                        await asyncio.to_thread(person.approve, task)
                    if event.status == "queued":
                        break
                self.assertEqual(kinds, [("task", task), ("question", task), ("task", task)])

        asyncio.run(main())

    def test_a_subscription_goes_on_after_a_restart_of_the_hub(self) -> None:
        start = self.hub.call("watch")
        first = self.hub.enqueue("before")
        events = self.hub.events(["task"], since=start["seq"], boot_id=start["boot_id"])
        self.assertEqual(next(events).task_id, first)
        self.kill_hub()
        self.restart_hub()
        second = self.hub.enqueue("after")
        gap = next(events)
        self.assertEqual(gap.kind, "gap", "what happened between is unknown, so the state must be read again")
        event = next(events)
        self.assertEqual(event.task_id, second)
        self.assertNotEqual(event.boot_id, start["boot_id"])

    def test_a_slow_reader_misses_nothing_that_the_hub_has_stored(self) -> None:
        start = self.hub.call("watch")
        events = self.hub.events(["task"], since=start["seq"], boot_id=start["boot_id"])
        ids = self.hub.enqueue_many(["x"], queue="q")
        self.assertEqual(next(events).task_id, ids[0])
        ids = self.hub.enqueue_many(["x"] * 5000, queue="q")
        self.assertEqual([next(events).task_id for _ in ids], ids)


if __name__ == "__main__":
    unittest.main()
