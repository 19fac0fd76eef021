"""The nats-server of the wheel, with JetStream in the state folder."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import structlog

from services.runtime.base.nats_health import store_error
from services.runtime.base.nats_keys import load_or_make_key
from services.runtime.base.nats_users import authorization, nats_users
from services.runtime.embedded.processes import (
    CannotStartError,
    free_port,
    start,
    stop,
    stop_leftovers,
    tail,
    wait,
)

START_ATTEMPTS = 3
READY_SECONDS = 60
STOP = ((signal.SIGINT, 10.0),)
# A server that reports a write error this many times in a row is restarted, if its disk has space.
STUCK_COUNT = 3
FREE_BYTES_MIN = 4 << 20

CONFIGURATION = """\
server_name: oip
listen: "127.0.0.1:{port}"
http: "127.0.0.1:{monitor_port}"
{authorization}max_payload: 1MB
jetstream {{
  store_dir: {store}
  sync_interval: {sync_interval}
  max_memory_store: 64MB
  max_file_store: 32GB
}}
"""

log = structlog.get_logger(part="nats")


class NatsServer:
    """One server on one store folder, for users whose keys are in `keys/nats` next to it.

    `users` and `sync_interval` differ from their defaults only in tests.
    """

    def __init__(
        self, folder: Path, *, users: Sequence[str] = (), sync_interval: str = "always"
    ) -> None:
        self._folder = folder.resolve()
        self._users = tuple(users) or nats_users()
        self._log = self._folder.with_name(f"{folder.name}.log")
        self._sync_interval = sync_interval
        self._process: subprocess.Popen[bytes] | None = None
        self._stuck_count = 0
        self._is_restarting = False
        self.port = 0
        self.monitor_port = 0

    @property
    def url(self) -> str:
        """The URL for clients."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def key_dir(self) -> Path:
        """The folder of its users' keys."""
        return self._folder.parent / "keys" / "nats"

    @property
    def monitor_url(self) -> str:
        """The URL of the monitoring."""
        return f"http://127.0.0.1:{self.monitor_port}"

    @property
    def has_ended(self) -> bool:
        """Whether it was started and has ended without being stopped."""
        return (
            self._process is not None
            and self._process.poll() is not None
            and not self._is_restarting
        )

    @property
    def log_file(self) -> Path:
        """The log file."""
        return self._log

    @property
    def pid(self) -> int:
        """The server's process id."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    async def start(self) -> str:
        """Start it; after `kill` on the same ports, so that clients reconnect."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if left := await stop_leftovers(self._folder, "nats-server"):
            log.warning("leftovers_stopped", processes=left)
        for _ in range(START_ATTEMPTS):
            if await self._try_to_start():
                return self.url
            self.port = self.monitor_port = 0
        raise CannotStartError(
            f"nats-server does not start; its log is {self._log}, and it ends with: "
            f"{tail(self._log)}"
        )

    async def stop(self) -> None:
        """Stop it with a clean shutdown."""
        if self._process is not None:
            await stop(self._process, STOP)
            self._process = None

    async def kill(self) -> None:
        """Kill it, as a crash would; for tests."""
        if self._process is not None:
            self._process.kill()
            await wait(self._process, 5)
            self._process = None

    async def restart_if_stuck(self) -> None:
        """Restart a server that stores nothing more after a write error, once there is space.

        After its disk was full, nats-server leaves each publish without an answer until then.
        Raises CannotStartError.
        """
        error = await asyncio.to_thread(store_error, self.monitor_url)
        if error is None:
            self._stuck_count = 0
            return
        self._stuck_count += 1
        # It may just be starting, or one write may have failed.
        if self._stuck_count < STUCK_COUNT:
            return
        if shutil.disk_usage(self._folder).free < FREE_BYTES_MIN:
            if self._stuck_count == STUCK_COUNT:
                log.error("store_full", folder=str(self._folder), error=error)
            return
        log.warning("restarted", error=error)
        self._stuck_count = 0
        self._is_restarting = True
        try:
            await self.stop()
            await self.start()
        finally:
            self._is_restarting = False

    async def _try_to_start(self) -> bool:
        self.port = self.port or free_port()
        self.monitor_port = self.monitor_port or free_port()
        configuration = self._folder / "server.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(
            CONFIGURATION.format(
                port=self.port,
                monitor_port=self.monitor_port,
                authorization=self._authorization(),
                store=json.dumps(str(self._folder)),
                sync_interval=self._sync_interval,
            ),
            encoding="utf-8",
        )
        self._process = start(
            [binary(), "-c", configuration],
            self._log,
            death_signal=signal.SIGTERM,
            folder=self._folder,
        )
        loop = asyncio.get_running_loop()
        end = loop.time() + READY_SECONDS
        while loop.time() < end:
            if self._process.poll() is not None:
                return False
            if await asyncio.to_thread(self._is_healthy):
                return True
            await asyncio.sleep(0.02)
        await self.stop()
        return False

    def _authorization(self) -> str:
        return authorization(
            {user: load_or_make_key(self.key_dir / f"{user}.pem").public for user in self._users}
        )

    def _is_healthy(self) -> bool:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{self.monitor_url}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def binary() -> Path:
    """The program: next to the interpreter, or on the path."""
    installed = Path(sys.executable).parent / "nats-server"
    if installed.exists():
        return installed
    on_path = shutil.which("nats-server")
    if on_path is None:
        raise CannotStartError(
            "nats-server is not installed; run `make setup`, or set OIP_NATS_URL to a server"
        )
    return Path(on_path)
