"""`python -m services.console`: the pages as their own process."""

from __future__ import annotations

from services.console.process import run

if __name__ == "__main__":
    run()
