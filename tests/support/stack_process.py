"""An embedded stack as a separate process that a test can stop or kill.

Prints one JSON line with its URLs once it runs, then waits for a signal.
"""

from __future__ import annotations

import asyncio
import json
import sys

from services.runtime.base.settings import Settings
from services.runtime.embedded import CannotStartError, StateInUseError, embedded


async def main() -> None:
    """Start, print the URLs, wait."""
    async with embedded(Settings()) as settings:
        urls = {"database_url": settings.database_url, "nats_url": settings.nats_url}
        sys.stdout.write(json.dumps(urls) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (CannotStartError, StateInUseError) as error:
        sys.exit(str(error))
    except (asyncio.CancelledError, KeyboardInterrupt):
        pass
