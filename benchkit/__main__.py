"""`python -m benchkit` is the command `benchkit`, for where its script is not on the path."""

from __future__ import annotations

import sys

from benchkit.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
