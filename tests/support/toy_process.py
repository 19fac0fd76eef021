"""Both toy services as one process that a test can kill.

The environment gives the URLs of the two databases and of NATS, and the folder of its keys.
"""

from __future__ import annotations

import asyncio
import os
import sys

from services.runtime.base.clock import SystemClock
from services.runtime.base.settings import Settings
from services.runtime.events import jetstream
from services.runtime.events.listener import Listener
from services.runtime.events.outbox import Relay
from services.runtime.events.receiver import Receiver
from services.runtime.storage.database import Database
from tests.support import toy


async def main() -> None:
    """Publish and consume until ended."""
    toys = Database(os.environ["TOY_URL"], "toy", pool_size=4)
    echoes = Database(os.environ["ECHO_URL"], "echo", pool_size=4)
    bus = await jetstream.connect(Settings(), "toy")
    echo_bus = await jetstream.connect(Settings(), "echo")
    receiver = Receiver(
        echoes,
        handlers=toy.HANDLERS,
        command=lambda actor, _: actor,
        trust=toy.TRUST,
        cipher=toy.CIPHER,
        share=toy.share_nothing,
        clock=SystemClock(),
        wake=asyncio.Event(),
    )
    replay = toy.replay_from(toys)
    listener = Listener(receiver, echo_bus, replay, repair_seconds=1.0, gap_seconds=0.3)
    relay = Relay(toys, bus.publish, toy.SIGNER, SystemClock(), asyncio.Event())
    sys.stdout.write("running\n")
    sys.stdout.flush()
    await asyncio.gather(relay.run(), listener.run())


if __name__ == "__main__":
    asyncio.run(main())
