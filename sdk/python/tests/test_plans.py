"""Plans: those of the hub, and those in code."""

from __future__ import annotations

import unittest

from support import PATIENCE, HubTest, kirosu

PLAN = """
name: shades
inputs: { prefix: { required: true } }
pipeline:
  - id: say
    map: { over: { lines: colours.txt } }
    prompt: "{{ inputs.prefix }} {{ item }}"
  - { id: ask, depends_on: [say], approve: { prompt: "Publish?" } }
  - { id: end, depends_on: [ask], prompt: "{{ steps.ask.result }}" }
"""


class Plans(HubTest):
    up = True
    settings = ("pool.p.provider=echo", "pool.p.size=2")

    def test_a_plan_with_items_of_the_program_and_a_question(self) -> None:
        asked = self.until_event(lambda event: bool(self.hub.approvals()), ["task"])
        run = self.hub.pipeline(PLAN, inputs={"prefix": "Say"}, sources={"say": ["red", "blue"]}, labels=["night"])
        self.assertTrue(asked.wait(PATIENCE))
        question = self.hub.approvals()[0]
        self.person().answer(question["task_id"], "yes, go")
        self.assertEqual(self.hub.results([run], timeout=PATIENCE), ["yes, go"])
        items = list(self.hub.run_items(run, step="say"))
        self.assertEqual([item["result"] for item in items], ["Say red", "Say blue"])
        self.assertEqual(self.hub.run(run)["state"], "done")
        self.assertEqual([row["task_id"] for row in self.hub.runs("done")], [run])
        self.assertIn("pipeline", self.hub.run(run, with_plan=True)["plan_text"]["text"])
        self.hub.run_retry(run, step="say", item="#2")

    def test_a_plan_as_a_value_and_many_items(self) -> None:
        plan = {"pipeline": [{"id": "m", "map": {"over": {"lines": "x"}}, "prompt": "{{ item }}"}]}
        lines = [f"{i} " + "y" * 3000 for i in range(400)]
        run = self.hub.pipeline(plan, name="many", sources={"m": lines})
        self.hub.results([run], timeout=PATIENCE)
        self.assertEqual([item["result"] for item in self.hub.run_items(run)], lines)

    def test_faults_of_a_plan_are_errors(self) -> None:
        with self.assertRaises(kirosu.TaskFailed):
            self.hub.results([self.hub.pipeline({"pipeline": []})], timeout=PATIENCE)


class Code(HubTest):
    SCRIPT = (
        "import kirosu\n"
        "flow = kirosu.Hub().flow('report')\n"
        "drafts = flow.map('draft', 'draft {item}', ['a', 'b'])\n"
        "print(flow.step('merge', 'merge ' + ' '.join(drafts)))\n"
    )

    def test_a_program_that_starts_again_gets_the_results_of_its_steps(self) -> None:
        runs: list[str] = []

        def handler(run: kirosu.Run) -> str:
            runs.append(run.prompt)
            return run.prompt.upper()

        self.work(handler)
        for _ in range(2):
            self.assertEqual(self.finished(self.script("-c", self.SCRIPT)), "MERGE DRAFT A DRAFT B\n")
        self.assertEqual(runs, ["draft a", "draft b", "merge DRAFT A DRAFT B"])
        self.assertEqual(len(list(self.hub.list(label="flow:report"))), 3)

    def test_a_killed_program_goes_on_where_it_was(self) -> None:
        first = self.script("-c", self.SCRIPT)
        # Both drafts are there before the program is killed in its wait for them.
        subscribed = self.until_event(lambda event: event.task_id == 2, ["task"])
        if not list(self.hub.list(label="flow:report")):
            subscribed.wait(PATIENCE)
        first.kill()
        self.work(lambda run: run.prompt.upper())
        self.assertEqual(self.finished(self.script("-c", self.SCRIPT)), "MERGE DRAFT A DRAFT B\n")
        self.assertEqual(self.hub.stats()["total_tasks"], 3)

    def test_long_keys_and_failed_steps(self) -> None:
        failures: list[str] = []

        def handler(run: kirosu.Run) -> str:
            if len(failures) < 1:
                failures.append(run.prompt)
                raise RuntimeError("once")
            return "good"

        self.work(handler)
        flow = self.hub.flow("f")
        with self.assertRaises(kirosu.TaskFailed):
            flow.step("k" * 400, "x", timeout=PATIENCE)
        self.assertEqual(flow.step("k" * 400, "x", timeout=PATIENCE), "good")
        self.assertNotEqual(flow.start("k" * 401, "x"), flow.start("k" * 402, "x"))


if __name__ == "__main__":
    unittest.main()
