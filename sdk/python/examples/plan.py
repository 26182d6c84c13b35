"""A plan in code. Start it again after a crash, or after a change of its end: steps that are done are not repeated.

    python3 plan.py "Why is the sky blue?"

Needs a hub with an agent: kirosu up --set pool.p.provider=echo
"""

import sys

import kirosu


def main() -> None:
    question = " ".join(sys.argv[1:]) or "Why is the sky blue?"
    plan = kirosu.Hub().flow(f"answer: {question}")
    views = plan.map("view", "As a {item}, answer: " + question, ["physicist", "poet", "child"])
    answer = plan.step("merge", "Merge these answers into one:\n" + "\n".join(views))
    for number in range(3):
        verdict = plan.step(f"judge {number}", f"Is this answer good? Say GOOD or what is missing:\n{answer}")
        if "GOOD" in verdict:
            break
        answer = plan.step(f"improve {number}", f"Improve it.\nAnswer: {answer}\nMissing: {verdict}")
    print(answer)


if __name__ == "__main__":
    main()
