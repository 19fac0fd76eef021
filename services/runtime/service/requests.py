"""One request is one transaction, and one request id is one change, however often it is sent.

After a crash a client may not know whether its change was committed. It sends the same request with
the same id: if the change was committed, it gets the stored response, otherwise the change is made.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Generic, TypeVar

import sqlalchemy as sa
from google.protobuf.message import Message
from sqlalchemy.exc import DBAPIError, IntegrityError

from services.kernel.problems import Malformed, Problem
from services.runtime.base.failpoints import failpoint
from services.runtime.rpc.access import Caller, caller
from services.runtime.service import signatures
from services.runtime.service.act_problems import RequestIdReused
from services.runtime.service.signatures import SignatureNeededError
from services.runtime.storage import audit, data_keys
from services.runtime.storage.database import Transaction, retrying

if TYPE_CHECKING:
    from services.runtime.service.context import ServiceContext

R = TypeVar("R")
A = TypeVar("A", bound=Message)

_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")

_STORED = sa.text(
    "select request_hash, response from command where caller = :caller and request_id = :request_id"
)
_STORE = sa.text(
    "insert into command (caller, request_id, method, request_hash, response, create_time)"
    " values (:caller, :request_id, :method, :request_hash, :response, :now)"
)


async def change(
    context: ServiceContext,
    request: Message,
    answer: type[A],
    work: Callable[[Transaction], Awaitable[A]],
    *,
    resource: str | Callable[[A], str],
    serializable: bool = False,
) -> A:
    """Do `work` in one transaction of the caller's scope, once for its `request_id`.

    Ids are unique by caller, so that nobody blocks or reads what another one sent.

    A repeat with the same content gets the stored response without `work`; with other content it is
    refused as REQUEST_ID_REUSED. The response is stored encrypted. An act that needs a second
    signature is stored and refused as SECOND_SIGNATURE_NEEDED; see signatures.py. The audit row
    names the caller, the request and `resource`, which may be computed from the answer.
    `serializable` is for money: after a serialisation failure the whole transaction is repeated, so
    `work` must not keep state from one run to the next.
    """
    idempotent = IdempotentRequest(context, request, answer)
    persons: set[str] = set()

    async def attempt() -> A:
        async with context.database.begin(idempotent.scope, serializable=serializable) as tx:
            stored = await idempotent.stored(tx)
            if stored is not None:
                return stored
            with data_keys.noting(persons):
                result = await signatures.perform(tx, context, request, idempotent.hash, work)
                name = resource if isinstance(resource, str) else resource(result)
            await idempotent.store(tx, result, name, persons=persons)
            await failpoint("requests.before_commit")
        await failpoint("requests.after_commit")
        context.wake.set()
        return result

    try:
        return await (retrying(attempt) if serializable else attempt())
    except SignatureNeededError as needed:
        raise await signatures.keep_pending(context, needed, persons) from None
    except (IntegrityError, Problem):
        # If the same request arrived twice at once, this one failed because the other one was
        # committed first; the response is the one stored by the other.
        async with context.database.begin(idempotent.scope) as tx:
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
    async with context.database.begin(idempotent.scope) as tx:
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
                **_who(caller()),
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


# The fields of requests that name what is read, the most telling first.
_RESOURCE_FIELDS = ("name", "award", "claim", "worker", "order_batch", "platform")


async def record_reading(context: ServiceContext, request: Message) -> None:
    """Record that the caller was shown personal data, in a short transaction.

    The hash is keyed, because a request may hold the number of a document, which could be guessed.
    """
    fields = request.DESCRIPTOR.fields_by_name
    texts = (getattr(request, name) for name in _RESOURCE_FIELDS if name in fields)
    async with context.database.begin() as tx:
        await audit.append(
            tx,
            **_who(caller()),
            action=request.DESCRIPTOR.full_name,
            resource=next((text for text in texts if text), ""),
            request_hash=context.cipher.blind_index(content_hash(request).hex()),
            now=context.clock.now(),
        )


def _who(who: Caller) -> dict[str, str]:
    """A caller in an audit row."""
    return {"actor": who.subject, "member": who.member, "asking_service": who.asking_service}


def content_hash(request: Message) -> bytes:
    """SHA-256 over the request's type and its deterministic serialisation."""
    digest = hashlib.sha256(request.DESCRIPTOR.full_name.encode())
    digest.update(b"\x00")
    digest.update(request.SerializeToString(deterministic=True))
    return digest.digest()


class IdempotentRequest(Generic[A]):
    """A request by the key of the command table: caller and request id; and its content hash."""

    def __init__(self, context: ServiceContext, request: Message, answer: type[A]) -> None:
        self._context = context
        self._cipher = context.cipher
        self._method = request.DESCRIPTOR.full_name
        self._answer = answer
        self.hash = content_hash(request)
        self.scope = caller().scope
        self._request_id: str = getattr(request, "request_id", "")
        if not _REQUEST_ID.fullmatch(self._request_id):
            raise Malformed.of(
                "request_id",
                "WRONG_REQUEST_ID",
                "write a new id of 1 to 128 letters, digits or . _ : / - for this request",
                "请为此请求使用新的编号: 1 至 128 个字母、数字或 . _ : / -",
            )

    @property
    def _place(self) -> str:
        """What the encrypted response is bound to."""
        return f"command/{self.scope.caller}/{self._request_id}/response"

    async def stored(self, tx: Transaction) -> A | None:
        """The stored response, if there is one; raises RequestIdReused for other content."""
        key = {"caller": self.scope.caller, "request_id": self._request_id}
        row = (await tx.execute(_STORED, key)).one_or_none()
        if row is None:
            return None
        if bytes(row.request_hash) != self.hash:
            raise RequestIdReused(field="request_id", request_id=self._request_id)
        cipher = await data_keys.for_rows(tx, self._cipher, [row])
        return self._answer.FromString(cipher.open(bytes(row.response), self._place))

    async def store(
        self,
        tx: Transaction,
        result: A,
        resource: str,
        actor: Caller | None = None,
        *,
        persons: Iterable[str] = (),
    ) -> None:
        """Store the response, encrypted, and the audit row, in the transaction of the change.

        `actor` is the signer of an act, whose request runs as its maker. The response is under the
        data key of the person, if the change concerns one of `persons` alone.
        """
        now = self._context.clock.now()
        cipher = await data_keys.of_only_person(tx, self._cipher, persons)
        content = result.SerializeToString(deterministic=True)
        row = {
            "caller": self.scope.caller,
            "request_id": self._request_id,
            "method": self._method,
            "request_hash": self.hash,
            "response": cipher.seal(content, self._place),
            "now": now,
        }
        await tx.execute(_STORE, row)
        await audit.append(
            tx,
            **_who(actor or caller()),
            action=self._method,
            resource=resource,
            request_hash=self.hash,
            now=now,
        )
