"""One request is one transaction, and one request id is one change, however often it is sent.

Every crash leaves some commits whose outcome nobody was told (reliability rule M2). A client that
got no answer sends the same request with the same id: it gets the first answer if there was one,
and the change is made if there was none.
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
    message = "Request id {request_id} was used before with other content; make a new id."
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

    A repeat with the same content gets the stored answer without work; with other content it is
    refused as REQUEST_ID_REUSED. The audit row names the caller, the request and `resource`, which
    may be read off the answer. `serializable` is for money: the whole transaction runs again when
    PostgreSQL cannot put it in an order with others (rule P2), so `work` must not keep anything
    from one run to the next.
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
        # The same request may have come twice at once: then this one failed because the other
        # one won, and the answer is the winner's.
        async with context.database.begin(idempotent.platform) as tx:
            stored = await idempotent.stored(tx)
        if stored is None:
            raise
        return stored


async def stored_response(context: ServiceContext, request: Message, answer: type[A]) -> A | None:
    """The first answer to a request that was made before; None if it was not.

    For requests that ask other services before their transaction opens: a repeat must not need
    them. Raises RequestIdReused as `change` does.
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

    `ask` runs before the transaction opens and is passed over for a repeat, which must not need
    the others; `work` gets what it returned.
    """
    stored = await stored_response(context, request, answer)
    if stored is not None:
        return stored
    asked = await ask()

    async def work_with_answers(tx: Transaction) -> A:
        return await work(tx, asked)

    return await change(context, request, answer, work_with_answers, resource=resource)


async def read(context: ServiceContext, work: Callable[[Transaction], Awaitable[R]]) -> R:
    """Do `work`, which changes nothing, on what the caller's platform may see, or everything.

    Once more if the connection turns out to have died while nobody used it.
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
    """SHA-256 over the request's kind and its deterministic serialisation."""
    digest = hashlib.sha256(request.DESCRIPTOR.full_name.encode())
    digest.update(b"\x00")
    digest.update(request.SerializeToString(deterministic=True))
    return digest.digest()


class IdempotentRequest(Generic[A]):
    """A request as the command table knows it: whose, which id, which content."""

    def __init__(self, context: ServiceContext, request: Message, answer: type[A]) -> None:
        self._context = context
        self._method = request.DESCRIPTOR.full_name
        self._answer = answer
        self._hash = content_hash(request)
        self.platform = caller().scope
        self._request_id: str = getattr(request, "request_id", "")
        if not _REQUEST_ID.fullmatch(self._request_id):
            what = "make an id of your own for this request, 1 to 128 letters, digits or . _ : / -"
            raise Malformed.of("request_id", what)

    async def stored(self, tx: Transaction) -> A | None:
        """The first answer, if there was one; raises RequestIdReused for other content."""
        key = {"platform": self.platform, "request_id": self._request_id}
        row = (await tx.execute(_STORED, key)).one_or_none()
        if row is None:
            return None
        if bytes(row.request_hash) != self._hash:
            raise RequestIdReused(field="request_id", request_id=self._request_id)
        return self._answer.FromString(row.response)

    async def store(self, tx: Transaction, result: A, resource: str) -> None:
        """Keep the answer and the audit row, in the transaction of the change."""
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
