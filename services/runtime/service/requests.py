"""One request is one transaction, and one request id is one change, however often it is sent.

After a crash a client may not know whether its change was committed. It sends the same request with
the same id: if the change was committed, it gets the stored response, otherwise the change is made.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Generic, TypeVar

import sqlalchemy as sa
from google.protobuf.message import Message
from sqlalchemy.exc import DBAPIError, IntegrityError

from services.kernel.problems import Kind, Malformed, Problem
from services.runtime.base.failpoints import failpoint
from services.runtime.rpc.access import caller
from services.runtime.storage import audit
from services.runtime.storage.database import Transaction, retrying

if TYPE_CHECKING:
    from services.runtime.service.context import ServiceContext

R = TypeVar("R")
A = TypeVar("A", bound=Message)

_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")

_STORED = sa.text(
    "select request_hash, response from command"
    " where platform = :platform and request_id = :request_id"
)
_STORE = sa.text(
    "insert into command (platform, request_id, method, request_hash, response, create_time)"
    " values (:platform, :request_id, :method, :request_hash, :response, :now)"
)


class RequestIdReused(Problem):
    """The id was used before for a request with other content."""

    kind, reason = Kind.DIFFERENT_EXISTS, "REQUEST_ID_REUSED"
    message = "Request id {request_id} was used before with other content; use a new id."
    message_zh = "请求编号 {request_id} 已用于内容不同的请求; 请使用新的编号。"


async def change(
    context: ServiceContext,
    request: Message,
    answer: type[A],
    work: Callable[[Transaction], Awaitable[A]],
    *,
    resource: str | Callable[[A], str],
    serializable: bool = False,
) -> A:
    """Do `work` in one transaction scoped to the caller's platform, once for its `request_id`.

    A repeat with the same content gets the stored response without `work`; with other content it is
    refused as REQUEST_ID_REUSED. The audit row names the caller, the request and `resource`, which
    may be computed from the answer. `serializable` is for money: after a serialisation failure the
    whole transaction is repeated, so `work` must not keep state from one run to the next.
    """
    idempotent = IdempotentRequest(context, request, answer)

    async def attempt() -> A:
        async with context.database.begin(idempotent.platform, serializable=serializable) as tx:
            stored = await idempotent.stored(tx)
            if stored is not None:
                return stored
            result = await work(tx)
            await idempotent.store(
                tx, result, resource if isinstance(resource, str) else resource(result)
            )
            await failpoint("requests.before_commit")
        await failpoint("requests.after_commit")
        context.wake.set()
        return result

    try:
        return await (retrying(attempt) if serializable else attempt())
    except (IntegrityError, Problem):
        # If the same request arrived twice at once, this one failed because the other one was
        # committed first; the response is the one stored by the other.
        async with context.database.begin(idempotent.platform) as tx:
            stored = await idempotent.stored(tx)
        if stored is None:
            raise
        return stored


async def stored_response(context: ServiceContext, request: Message, answer: type[A]) -> A | None:
    """The stored response to a request that was made before; None for a new request.

    For requests that call other services before their transaction opens: a repeat must not depend
    on them. Raises RequestIdReused as `change` does.
    """
    idempotent = IdempotentRequest(context, request, answer)
    async with context.database.begin(idempotent.platform) as tx:
        stored: A | None = await idempotent.stored(tx)
    return stored


async def change_after(
    context: ServiceContext,
    request: Message,
    answer: type[A],
    ask: Callable[[], Awaitable[R]],
    work: Callable[[Transaction, R], Awaitable[A]],
    *,
    resource: str | Callable[[A], str],
) -> A:
    """Like `change`, for a request that needs answers of other services.

    `ask` calls them before the transaction opens; `work` gets its result. A repeat gets the stored
    response without `ask`, because it must not depend on other services.
    """
    stored = await stored_response(context, request, answer)
    if stored is not None:
        return stored
    answers = await ask()

    async def work_with_answers(tx: Transaction) -> A:
        return await work(tx, answers)

    return await change(context, request, answer, work_with_answers, resource=resource)


async def change_ahead(
    context: ServiceContext,
    request: Message,
    action: str,
    work: Callable[[Transaction], Awaitable[bool]],
    *,
    resource: str,
) -> None:
    """A change that a request makes before its own, and that stays if its own is refused.

    `work` runs in a separate transaction and returns whether it changed anything; if it did, the
    audit row names the caller, `action` and `resource`. No answer is stored: a repeat of the
    request does `work` again, which must then find nothing left to do.
    """
    async with context.database.begin() as tx:
        if await work(tx):
            await audit.append(
                tx,
                actor=caller().subject,
                action=action,
                resource=resource,
                request_hash=content_hash(request),
                now=context.clock.now(),
            )
    context.wake.set()


async def read(context: ServiceContext, work: Callable[[Transaction], Awaitable[R]]) -> R:
    """Do `work`, which only reads, on the rows that the caller may see.

    It is repeated once if its connection had died in the pool.
    """
    try:
        return await _read_once(context, work)
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        return await _read_once(context, work)


async def _read_once(context: ServiceContext, work: Callable[[Transaction], Awaitable[R]]) -> R:
    async with context.database.read(caller().scope) as tx:
        return await work(tx)


def content_hash(request: Message) -> bytes:
    """SHA-256 over the request's type and its deterministic serialisation."""
    digest = hashlib.sha256(request.DESCRIPTOR.full_name.encode())
    digest.update(b"\x00")
    digest.update(request.SerializeToString(deterministic=True))
    return digest.digest()


class IdempotentRequest(Generic[A]):
    """A request by the key of the command table: platform, request id and content hash."""

    def __init__(self, context: ServiceContext, request: Message, answer: type[A]) -> None:
        self._context = context
        self._method = request.DESCRIPTOR.full_name
        self._answer = answer
        self._hash = content_hash(request)
        self.platform = caller().scope
        self._request_id: str = getattr(request, "request_id", "")
        if not _REQUEST_ID.fullmatch(self._request_id):
            what = "write a new id of 1 to 128 letters, digits or . _ : / - for this request"
            raise Malformed.of("request_id", what)

    async def stored(self, tx: Transaction) -> A | None:
        """The stored response, if there is one; raises RequestIdReused for other content."""
        key = {"platform": self.platform, "request_id": self._request_id}
        row = (await tx.execute(_STORED, key)).one_or_none()
        if row is None:
            return None
        if bytes(row.request_hash) != self._hash:
            raise RequestIdReused(field="request_id", request_id=self._request_id)
        return self._answer.FromString(row.response)

    async def store(self, tx: Transaction, result: A, resource: str) -> None:
        """Store the response and the audit row, in the transaction of the change."""
        now = self._context.clock.now()
        row = {
            "platform": self.platform,
            "request_id": self._request_id,
            "method": self._method,
            "request_hash": self._hash,
            "response": result.SerializeToString(deterministic=True),
            "now": now,
        }
        await tx.execute(_STORE, row)
        await audit.append(
            tx,
            actor=caller().subject,
            action=self._method,
            resource=resource,
            request_hash=self._hash,
            now=now,
        )
