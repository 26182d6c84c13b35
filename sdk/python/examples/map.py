"""One prompt for many items. Needs a hub with an agent: kirosu up --set pool.p.provider=echo

    python3 map.py red green blue
"""

import sys

import kirosu


def main() -> None:
    colours = sys.argv[1:] or ["red", "green", "blue"]
    with kirosu.Hub() as hub:
        answers = hub.map("Name a fruit that is {item}.", colours, labels=["fruit"], timeout=600)
    for colour, answer in zip(colours, answers):
        print(f"{colour}: {answer}")


if __name__ == "__main__":
    main()
