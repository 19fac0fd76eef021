"""What a service lacks to answer calls and to deliver events, checked every few seconds.

A process that runs may still do nothing: its database is silent, its schema is older than its code,
its events wait. Each such fault is a sentence that says what to do. It sets the health that probes
read (`liveness`, `readiness`, `delivery`; see rpc/server.py), and ends by itself with its cause.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import nats.errors
import nats.js.errors
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from services.kernel.problems import Problem
from services.runtime.base.log import logger
from services.runtime.base.nats_health import store_error
from services.runtime.base.settings import Environment, Settings
from services.runtime.events import inbox
from services.runtime.events.envelope import stream_of
from services.runtime.events.event_keys import EventKeyError, load_signer, read_public_keys
from services.runtime.events.jetstream import Bus
from services.runtime.events.sync_check import monitors_of
from services.runtime.rpc.error_status import is_unavailable
from services.runtime.rpc.server import DELIVERY, READINESS, RpcServer
from services.runtime.rpc.tokens import Verifier
from services.runtime.service.standing import Standing
from services.runtime.storage.database import Database, Transaction
from services.runtime.storage.key_file import FileStamp, file_stamp, load_keys
from services.runtime.storage.key_wrapping import wrapper_of
from services.runtime.storage.migrate import Revisions, revisions_of

START_SECONDS = 0.5
CHECK_SECONDS = 5.0
RECHECK_SECONDS = 1.0
# An event that waits longer than this to be published or consumed is late.
LATE_SECONDS = 60.0
# How long an error of a full disk is reported; work that meets it again renews it.
FULL_SECONDS = 60.0

_WAITING = """
select min(id) as oldest, max(id) as newest from (
    (select min(id) as id from outbox where pub_seq is null)
    union all (select max(id) from outbox where pub_seq is null)
    union all (select id from outbox where pub_seq is not null and send_time is null)
) waiting
"""

log = logger("health")


@dataclass(frozen=True)
class Fault:
    """What is missing: the health that it sets, a code, and what to do in both languages."""

    area: str
    code: str
    message: str
    message_zh: str


STARTING = Fault(READINESS, "STARTING", "The service is starting.", "服务正在启动。")


class Lateness:
    """How long something that waits has been waiting, by what waited earlier."""

    def __init__(self) -> None:
        self._marks: dict[str, tuple[float, int]] = {}

    def seconds(self, name: str, oldest: int, newest: int, now: float) -> float:
        """Since when one of those that waited is still among `oldest` to `newest`."""
        since, mark = self._marks.get(name, (now, newest))
        if oldest > mark:
            since, mark = now, newest
        self._marks[name] = since, mark
        return now - since

    def clear(self, name: str) -> None:
        """Nothing waits."""
        self._marks.pop(name, None)


class Health:
    """The faults of one service, and the health it publishes."""

    def __init__(
        self,
        service: str,
        producers: Sequence[str],
        *,
        settings: Settings,
        database: Database,
        bus: Bus,
        server: RpcServer,
        verifier: Verifier,
        standing: Standing,
    ) -> None:
        self.faults: tuple[Fault, ...] = (STARTING,)
        self._service = service
        self._producers = producers
        self._settings = settings
        self._database = database
        # Its own connection: the pool's may all be in use.
        self._probe = Database(settings.database_of(service), service, pool_size=1)
        self._bus = bus
        self._server = server
        self._verifier = verifier
        self._standing = standing
        self._lateness = Lateness()
        # Of the key file as it was last found to be good.
        self._keys_stamp: FileStamp | None = None
        self._revisions: Revisions = revisions_of(service)

    async def watch(self) -> None:
        """Check until cancelled, more often while something is missing."""
        await asyncio.sleep(START_SECONDS)
        while True:
            try:
                await self.check()
            except Exception as error:  # noqa: BLE001 - the next round checks again
                log.warning("check_failed", service=self._service, error=type(error).__name__)
            await asyncio.sleep(RECHECK_SECONDS if self.faults else CHECK_SECONDS)

    async def check(self) -> None:
        """Find what is missing now, publish it as health, and log what changed."""
        parts = await asyncio.gather(
            self._of_database(), self._of_bus(), asyncio.to_thread(self._of_files)
        )
        behind = [_database_behind(self._service)] if self._standing.is_behind else []
        faults = (*behind, *(fault for part in parts for fault in part))
        if [fault.code for fault in faults] != [fault.code for fault in self.faults]:
            self._log(faults)
        self.faults = faults
        areas = {fault.area for fault in faults}
        self._server.set_health(
            ready=READINESS not in areas, delivers=READINESS not in areas and DELIVERY not in areas
        )

    async def close(self) -> None:
        """Close the connection of the checks."""
        await self._probe.close()

    def _log(self, faults: Iterable[Fault]) -> None:
        for fault in faults:
            log.warning(
                "not_serving", service=self._service, fault=fault.code, reason=fault.message
            )
        if not faults:
            log.info("serving_again", service=self._service)

    async def _of_database(self) -> list[Fault]:
        faults = self._of_disk()
        try:
            async with self._probe.begin() as tx:
                if not await self._is_migrated(tx):
                    faults.append(_not_migrated(self._service))
                    return faults
                waiting = (await tx.execute(sa.text(_WAITING))).one()
                faults += await self._of_gaps(tx)
        except (DBAPIError, Problem, OSError) as error:
            return [*faults, _database_fault(error)]
        if self._is_late("outbox", waiting.oldest, waiting.newest):
            faults.append(
                Fault(
                    DELIVERY,
                    "EVENTS_NOT_PUBLISHED",
                    f"Events have been waiting for more than {LATE_SECONDS:g} seconds to be "
                    "published; check NATS, and the service's log for relay_failed.",
                    f"事件已等待发布超过 {LATE_SECONDS:g} 秒; 请检查 NATS 及服务日志。",
                )
            )
        return faults

    async def _of_gaps(self, tx: Transaction) -> list[Fault]:
        """Events that are missing here and that their producer does not send again."""
        faults = []
        for producer in self._producers:
            marks = await inbox.progress(tx, producer)
            missing = next((mark.whole_seq + 1 for mark in marks if mark.has_gap), None)
            if self._is_late(f"gap {producer}", missing, missing):
                faults.append(_events_missing(producer))
        return faults

    def _of_disk(self) -> list[Fault]:
        seconds = self._database.seconds_since_full()
        if seconds is None or seconds > FULL_SECONDS:
            return []
        return [
            Fault(
                READINESS,
                "DATABASE_FULL",
                "The database has no space left; add space to its disk. The service continues by "
                "itself.",
                "数据库磁盘已满; 请扩容。服务随后自动恢复。",
            )
        ]

    async def _is_migrated(self, tx: Transaction) -> bool:
        if not self._revisions.heads:
            return True
        try:
            async with tx.begin_nested():
                rows = await tx.execute(sa.text("select version_num from alembic_version"))
                current = {str(row.version_num) for row in rows}
        except sa.exc.ProgrammingError:
            return False
        # A newer release has migrated already if its revisions are unknown here.
        return self._revisions.heads <= current or not current <= self._revisions.known

    async def _of_bus(self) -> list[Fault]:
        if not self._bus.client.is_connected:
            return [_nats_silent()]
        faults = await asyncio.gather(
            self._of_stream(self._service, self._read_stream),
            *(
                self._of_stream(name, partial(self._read_consumer, name))
                for name in self._producers
            ),
            asyncio.to_thread(self._of_store),
        )
        # Each part reports a server that does not answer.
        return list(dict.fromkeys(fault for fault in faults if fault is not None))

    async def _read_stream(self) -> None:
        await self._bus.js.stream_info(stream_of(self._service))

    async def _read_consumer(self, producer: str) -> Fault | None:
        consumer = await self._bus.js.consumer_info(stream_of(producer), self._service)
        waiting = (consumer.num_pending or 0) + (consumer.num_ack_pending or 0)
        done = consumer.ack_floor.stream_seq if consumer.ack_floor else 0
        oldest, newest = (done + 1, done + waiting) if waiting else (None, None)
        is_late = self._is_late(f"consume {producer}", oldest, newest)
        return _not_consumed(producer) if is_late else None

    async def _of_stream(
        self, producer: str, read: Callable[[], Awaitable[Fault | None]]
    ) -> Fault | None:
        try:
            return await read()
        except nats.js.errors.NotFoundError:
            return Fault(
                DELIVERY,
                "NO_STREAM",
                f"NATS has no stream or consumer for the events of {producer}; run "
                "`python -m services.migrate`.",
                f"NATS 中缺少 {producer} 事件的流或消费者; 请运行 `python -m services.migrate`。",
            )
        except (nats.errors.Error, TimeoutError, OSError):
            return _nats_silent()

    def _of_store(self) -> Fault | None:
        errors = [store_error(monitor) for monitor in monitors_of(self._settings)]
        error = next(filter(None, errors), None)
        if error is None:
            return None
        return Fault(
            DELIVERY,
            "NATS_STORES_NOTHING",
            f"The NATS server cannot store events ({error}); free space on the disk of its store, "
            "then restart the NATS server. Events wait in the outbox meanwhile.",
            f"NATS 服务器无法存储事件 ({error}); 请释放磁盘空间后重启 NATS。事件暂存于发件箱。",
        )

    def _of_files(self) -> list[Fault]:
        """Keys and token, as a restart would read them."""
        checks: list[tuple[str, Callable[[], object]]] = [
            ("COLUMN_KEYS", self._require_keys),
            ("EVENT_KEY", lambda: load_signer(self._settings.event_key_path(self._service))),
            ("EVENT_TRUST", self._require_trust),
            ("TOKEN", self._require_token),
        ]
        faults = []
        for code, check in checks:
            try:
                check()
            except (OSError, RuntimeError, ValueError, KeyError, TypeError, Problem) as error:
                text = text_zh = str(error)
                if isinstance(error, Problem):
                    text, text_zh = error.sentence, error.sentence_zh
                faults.append(
                    Fault(
                        READINESS,
                        code,
                        f"A file of keys or tokens is missing or unusable: {text}",
                        f"密钥或令牌文件缺失或不可用: {text_zh}",
                    )
                )
        return faults

    def _require_keys(self) -> None:
        """Read the key file when it has changed: a command may have to unwrap its keys."""
        settings = self._settings
        stamp = file_stamp(settings.keys_path)
        if stamp is None or stamp != self._keys_stamp:
            load_keys(settings.keys_path, wrapper_of(settings.key_wrap_command))
            self._keys_stamp = stamp

    def _require_trust(self) -> None:
        folder = self._settings.event_trust_path
        trusted = {producer for producer, keys in read_public_keys(folder).items() if keys}
        if missing := [name for name in self._producers if name not in trusted]:
            raise EventKeyError(
                f"{folder} has no public key of {', '.join(missing)}; add the files NAME.pub"
            )

    def _require_token(self) -> None:
        file = self._settings.token_file
        if file is None:
            return
        if not os.access(file, os.R_OK):
            raise FileNotFoundError(f"the token file {file} cannot be read; write a token into it")
        token = self._verifier.verify(file.read_text(encoding="utf-8").strip())
        # Others know by it who asks for data keys. In development one process may be several.
        own = f"services/{self._service}"
        if self._settings.environment is Environment.PRODUCTION and token.subject != own:
            raise PermissionError(f"the token in {file} is of {token.subject}, not of {own}")

    def _is_late(self, name: str, oldest: int | None, newest: int | None) -> bool:
        if oldest is None or newest is None:
            self._lateness.clear(name)
            return False
        now = asyncio.get_running_loop().time()
        return self._lateness.seconds(name, oldest, newest, now) > LATE_SECONDS


def _database_fault(error: Exception) -> Fault:
    if isinstance(error, DBAPIError) and not is_unavailable(error):
        return _not_migrated("this service")
    return Fault(
        READINESS,
        "DATABASE_SILENT",
        "The database does not answer; check the server, the network and OIP_DATABASE_URL.",
        "数据库无响应; 请检查数据库服务器、网络和 OIP_DATABASE_URL。",
    )


def _database_behind(service: str) -> Fault:
    return Fault(
        DELIVERY,
        "DATABASE_BEHIND",
        f"The database of {service} is older than what the service has published; it refuses "
        f"changes. Run `oip restore show --service {service}`.",
        f"{service} 的数据库早于其已发布的内容, 不办理变更;"
        f" 请执行 `oip restore show --service {service}`。",
    )


def _not_migrated(service: str) -> Fault:
    return Fault(
        READINESS,
        "SCHEMA_OLD",
        f"The schema of {service} is older than this program; run `python -m services.migrate`.",
        f"{service} 的数据库结构版本过旧; 请运行 `python -m services.migrate`。",
    )


def _not_consumed(producer: str) -> Fault:
    return Fault(
        DELIVERY,
        "EVENTS_NOT_CONSUMED",
        f"Events of {producer} have been waiting for more than {LATE_SECONDS:g} seconds to be "
        "consumed; see `oip alarms list`, and the service's log for event_failed.",
        f"{producer} 的事件已等待处理超过 {LATE_SECONDS:g} 秒; 请查看告警 (`oip alarms list`) "
        "和服务日志。",
    )


def _events_missing(producer: str) -> Fault:
    return Fault(
        DELIVERY,
        "EVENTS_MISSING",
        f"An event of {producer} has been missing for more than {LATE_SECONDS:g} seconds; check "
        f"that {producer} runs, and the service's log for repair_failed.",
        f"{producer} 的事件缺失已超过 {LATE_SECONDS:g} 秒; 请检查该服务是否运行及服务日志。",
    )


def _nats_silent() -> Fault:
    return Fault(
        DELIVERY,
        "NATS_SILENT",
        "NATS does not answer; check the server and OIP_NATS_URL. Events wait in the outbox.",
        "NATS 无响应; 请检查服务器和 OIP_NATS_URL。事件暂存于发件箱。",
    )
