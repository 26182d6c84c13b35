"""`python -m kirosu.cli ...` runs the program `kirosu` with the same arguments, in place of this process."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from ._binary import find_binary
from .errors import KirosuError


def main() -> NoReturn:
    """Runs the program. Exits with 127 if there is none."""
    try:
        program = find_binary()
    except KirosuError as why:
        print(f"error: {why}", file=sys.stderr)
        sys.exit(127)
    os.execv(program, ["kirosu", *sys.argv[1:]])


if __name__ == "__main__":
    main()
