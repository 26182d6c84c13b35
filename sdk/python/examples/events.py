"""Adds tasks and prints each change of them as it happens, across restarts of the hub.

    python3 events.py 3

Needs a hub with an agent: kirosu up --set pool.p.provider=echo
"""

import asyncio
import sys

import kirosu


async def main(number: int) -> None:
    async with kirosu.AsyncHub() as hub:
        start = await hub.call("watch")
        open_tasks = set(await hub.enqueue_many(f"Say {i}" for i in range(number)))
        async for event in hub.events(["task"], since=start["seq"], boot_id=start["boot_id"]):
            if event.kind == "gap":
                # Events are lost, so the state is read again.
                open_tasks -= {task.task_id for task in [await hub.get(task_id) for task_id in open_tasks] if task.finished}
            elif event.task_id in open_tasks:
                print(f"task {event.task_id}: {event.status}", flush=True)
                if event.status in ("done", "failed", "cancelled"):
                    open_tasks.discard(event.task_id)
            if not open_tasks:
                return


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
