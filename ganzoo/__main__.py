"""`python -m ganzoo`."""

from __future__ import annotations

import sys

from ganzoo.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
