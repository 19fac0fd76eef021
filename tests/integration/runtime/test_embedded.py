"""The embedded servers: start anywhere, keep their data, leave nothing running."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.runtime.base.settings import Settings
from services.runtime.embedded import (
    CannotStartError,
    ServerEndedError,
    StateInUseError,
    embedded,
)
from services.runtime.embedded.postgres import PostgresServer
from services.runtime.embedded.processes import CONFINE
from services.runtime.events import jetstream

ROOT = Path(__file__).resolve().parents[3]
Process = asyncio.subprocess.Process
Until = Callable[..., Any]


def fresh(folder: Path) -> Settings:
    """Settings that start both servers, whatever the environment says."""
    return Settings(state_dir=folder, database_url="", nats_url="")


async def start(folder: Path, launcher: Sequence[str] = ()) -> Process:
    return await asyncio.create_subprocess_exec(
        *([sys.executable, *launcher] if launcher else []),
        sys.executable,
        "-m",
        "tests.support.stack_process",
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT}:{ROOT / 'protos' / 'gen'}",
            "OIP_STATE_DIR": str(folder),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def urls(process: Process) -> dict[str, str]:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 60)
    by_name: dict[str, str] = json.loads(line)
    return by_name


async def end(process: Process, number: signal.Signals) -> int:
    process.send_signal(number)
    await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0


def running_in(folder: Path) -> list[str]:
    names = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink().is_relative_to(folder.resolve()):
                names.append((entry / "comm").read_text(encoding="utf-8").strip())
        except OSError:
            continue
    return names


def children_of(pid: int) -> list[int]:
    return [int(e.name) for e in Path("/proc").glob("[0-9]*") if parent_of(e) == str(pid)]


def owner(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


async def note(url: str, text: str = "") -> list[str]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("create table if not exists note (text text)")
        if text:
            await connection.execute("insert into note values (%s)", (text,))
        rows = await (await connection.execute("select text from note")).fetchall()
        return [row[0] for row in rows]


@pytest.fixture
async def processes() -> AsyncIterator[list[Process]]:
    started: list[Process] = []
    yield started
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def test_data_is_kept_from_one_start_to_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "a folder, with a comma"
    async with embedded(fresh(folder)) as settings:
        await note(settings.database_url, "kept")
        await jetstream.migrate_streams(settings, {"claims": ()})
    assert running_in(folder) == []
    async with embedded(fresh(folder)) as settings:
        assert await note(settings.database_url) == ["kept"]
        bus = await jetstream.connect(settings, "claims")
        assert (await bus.js.stream_info("CLAIMS")).config.name == "CLAIMS"
        await bus.close()


async def test_servers_listen_on_the_loopback_interface_with_a_password(tmp_path: Path) -> None:
    async with embedded(fresh(tmp_path)) as settings:
        assert "@127.0.0.1:" in settings.database_url
        bare = settings.database_url.replace(
            settings.database_url.split("@")[0], "postgresql://oip"
        )
        with pytest.raises(psycopg.OperationalError, match="password"):
            await psycopg.AsyncConnection.connect(bare)
    for secret in (tmp_path / "postgres" / "oip.password", tmp_path / "nats" / "server.conf"):
        assert secret.stat().st_mode & 0o077 == 0


async def test_what_is_set_is_not_started(tmp_path: Path, stack: Settings) -> None:
    partial = Settings(state_dir=tmp_path, database_url=stack.database_url, nats_url="")
    async with embedded(partial) as settings:
        assert settings.database_url == stack.database_url
        assert settings.nats_url
        assert not (tmp_path / "postgres").exists()
    complete = Settings(state_dir=tmp_path, database_url="postgresql://a", nats_url="nats://b")
    async with embedded(complete) as settings:
        assert settings == complete


async def test_a_second_stack_on_the_folder_is_refused(tmp_path: Path) -> None:
    async with embedded(fresh(tmp_path)):
        with pytest.raises(StateInUseError, match=f"process {os.getpid()}.*OIP_STATE_DIR"):
            async with embedded(fresh(tmp_path)):
                pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_everything(
    tmp_path: Path, processes: list[Process], number: signal.Signals
) -> None:
    process = await start(tmp_path)
    processes.append(process)
    await urls(process)
    assert running_in(tmp_path)
    await end(process, number)

    assert running_in(tmp_path) == []


async def test_servers_do_not_outlive_a_killed_parent(
    tmp_path: Path, processes: list[Process], until: Until
) -> None:
    process = await start(tmp_path)
    processes.append(process)
    first = await urls(process)
    await note(first["database_url"], "kept")
    await end(process, signal.SIGKILL)

    async def gone() -> bool:
        return running_in(tmp_path) == []

    await until(gone)
    async with embedded(fresh(tmp_path)) as settings:
        assert await note(settings.database_url) == ["kept"]


async def test_starting_again_at_once_after_everything_was_killed(
    tmp_path: Path, processes: list[Process]
) -> None:
    process = await start(tmp_path)
    processes.append(process)
    first = await urls(process)
    await note(first["database_url"], "kept")
    for pid in (process.pid, *children_of(process.pid)):
        os.kill(pid, signal.SIGKILL)
    again = await start(tmp_path)
    processes.append(again)

    assert await note((await urls(again))["database_url"]) == ["kept"]


def parent_of(entry: Path) -> str:
    try:
        return (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1]
    except OSError:
        return ""


async def test_servers_left_over_are_stopped_first(tmp_path: Path) -> None:
    left = PostgresServer(tmp_path / "postgres")
    await note(await left.start(), "kept")
    process = left._process
    async with embedded(fresh(tmp_path)) as settings:
        assert await note(settings.database_url) == ["kept"]
    assert process is not None
    assert process.wait(5) is not None


async def test_an_incomplete_data_folder_is_created_again(
    tmp_path: Path, processes: list[Process]
) -> None:
    process = await start(tmp_path)
    processes.append(process)
    loop = asyncio.get_running_loop()
    end_time = loop.time() + 20
    while not list(tmp_path.glob("postgres.new.*/base")):  # noqa: ASYNC240
        assert loop.time() < end_time
        await asyncio.sleep(0.005)
    await end(process, signal.SIGKILL)
    assert not (tmp_path / "postgres").exists()

    async with embedded(fresh(tmp_path)) as settings:
        assert await note(settings.database_url, "new") == ["new"]
    assert list(tmp_path.glob("postgres.new.*")) == []  # noqa: ASYNC240


async def test_a_folder_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(CannotStartError, match="move it away"):
        async with embedded(fresh(tmp_path)):
            pass
    assert (tmp_path / "postgres" / "thesis.txt").exists()
    assert running_in(tmp_path) == []


async def test_a_folder_that_cannot_be_written_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(CannotStartError, match="OIP_STATE_DIR"):
        async with embedded(fresh(tmp_path / "file" / "below")):
            pass


async def test_the_end_of_a_server_ends_the_stack_with_one_sentence(tmp_path: Path) -> None:
    async def stand() -> None:
        async with embedded(fresh(tmp_path)):
            (server,) = [pid for pid in children_of(os.getpid()) if is_postgres(pid, tmp_path)]
            os.kill(server, signal.SIGKILL)
            await asyncio.sleep(30)

    with pytest.raises(ServerEndedError, match="run the same command again"):
        await asyncio.create_task(stand())
    assert running_in(tmp_path) == []


def is_postgres(pid: int, folder: Path) -> bool:
    return Path(f"/proc/{pid}/cwd").readlink() == folder.resolve() / "postgres"


async def test_a_crash_of_the_server_loses_nothing_confirmed(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path / "postgres")
    try:
        await note(await server.start(), "kept")
        await server.kill()
        assert await note(await server.start()) == ["kept"]
    finally:
        await server.stop()


async def test_who_is_not_root_runs_it_without_another_identity(
    tmp_path: Path, processes: list[Process]
) -> None:
    """Root's files under an ordinary user's number, which is what the kernel shows inside."""
    process = await start(tmp_path, launcher=[str(CONFINE), "namespace", "15", str(os.getpid())])
    processes.append(process)
    assert await note((await urls(process))["database_url"], "mine") == ["mine"]
    await end(process, signal.SIGTERM)
    assert running_in(tmp_path) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another identity")
async def test_without_user_namespaces_root_becomes_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = Path("/var/tmp") / f"oip-test-nobody-{os.getpid()}"
    folder.mkdir()
    server = PostgresServer(folder / "postgres")
    can_run = PostgresServer._can_run

    async def refuse_namespaces(self: PostgresServer, mode: str) -> bool:
        return mode != "namespace" and await can_run(self, mode)

    monkeypatch.setattr(PostgresServer, "_can_run", refuse_namespaces)
    try:
        try:
            url = await server.start()
        except CannotStartError:
            pytest.skip("this checkout is closed to other users")
        assert await note(url, "mine") == ["mine"]
        assert owner(server.pid) == 65534
    finally:
        await server.stop()
        shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another identity")
async def test_root_without_another_identity_gets_one_clear_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_self: PostgresServer, _mode: str) -> bool:
        return False

    monkeypatch.setattr(PostgresServer, "_can_run", never)
    with pytest.raises(CannotStartError, match="OIP_DATABASE_URL"):
        await PostgresServer(tmp_path / "postgres").start()


async def test_a_port_that_is_taken_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from services.runtime.embedded import postgres
    from services.runtime.embedded.processes import free_port

    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1]])
        monkeypatch.setattr(postgres, "free_port", lambda: next(ports, None) or free_port())
        server = PostgresServer(tmp_path / "postgres")
        try:
            assert await note(await server.start(), "here") == ["here"]
        finally:
            await server.stop()
