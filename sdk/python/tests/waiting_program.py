"""The program of a pool's agents in test_monitor.py: a parent that waits for a child, and the child."""

import sys

import kirosu

if sys.stdin.read().startswith("child"):
    print("42")
else:
    run = kirosu.current_run()
    assert run is not None
    run.start("one", "child")
    print("children:", [task.result for task in run.wait_children()])
