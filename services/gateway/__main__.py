"""`python -m services.gateway`: the JSON door as its own process."""

from __future__ import annotations

from services.gateway.process import run

if __name__ == "__main__":
    run()
