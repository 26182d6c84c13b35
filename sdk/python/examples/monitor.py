"""A task that watches a folder for hours and adds a task for each new file. A worker runs it:

    python3 monitor.py &
    kirosu enqueue inbox --queue monitors

`kirosu get` shows its progress, `kirosu cancel` ends it, SIGTERM gives it back to another worker.
"""

import pathlib

import kirosu


def watch(run: kirosu.Run) -> None:
    folder = pathlib.Path(run.prompt)
    with kirosu.Monitor(run) as monitor:
        for _ in monitor.every(0.5):
            files = sorted(path.name for path in folder.iterdir() if path.is_file())
            for name in files:
                # The key belongs to this task: a file has one task, also after a restart of the worker.
                monitor.enqueue(f"Summarise {folder / name}", idempotency_key=f"file {name}", queue="summaries")
            monitor.progress({"files": len(files)})


if __name__ == "__main__":
    kirosu.Worker(watch, queues=["monitors"], name="monitor").run()
