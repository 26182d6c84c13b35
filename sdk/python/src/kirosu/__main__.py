"""`python -m kirosu` is `python -m kirosu.cli`."""

from .cli import main

main()
