"""Checks a Python function `slug(text)` that arrives on standard input."""

import sys

space = {}
exec(sys.stdin.read(), space)
for text, expected in [("Hello, World", "hello-world"), ("  a  b ", "a-b"), ("Grüße 2", "grusse-2"), ("--", "")]:
    found = space["slug"](text)
    if found != expected:
        sys.exit(f"slug({text!r}) is {found!r}, expected {expected!r}")
