"""A worker that counts words, with several tasks at a time, until SIGTERM or Ctrl-C.

    python3 worker.py &
    kirosu enqueue "How many words are these?" --queue words --wait
"""

import logging

import kirosu


def count(run: kirosu.Run) -> dict[str, int]:
    run.progress({"state": "counting"})
    words = run.prompt.split()
    if not words:
        raise kirosu.TaskError("there are no words", "bad_input")
    run.add_usage(input_tokens=len(words))
    return {"words": len(words), "different": len(set(words))}


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    kirosu.Worker(count, queues=["words"], concurrency=4, name="words").run()
