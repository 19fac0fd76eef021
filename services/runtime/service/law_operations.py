"""The operations on assumed values: which there are, and the province's confirmations of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime

from oip.operations.v1 import operations_pb2, operations_pb2_grpc

from services.kernel import names
from services.kernel.identifiers import NATIONAL, province_of
from services.kernel.law import ParameterVersion
from services.kernel.lawbook import Law
from services.kernel.periods import civil_day
from services.kernel.problems import Kind, Malformed, NotFound, Problem
from services.runtime.rpc.access import caller
from services.runtime.rpc.paging import page_of
from services.runtime.rpc.wire import (
    Context,
    date_from_wire,
    date_to_wire,
    enum_number,
    moment_to_wire,
)
from services.runtime.service import signatures
from services.runtime.service.context import Service, ServiceContext
from services.runtime.service.requests import change, read
from services.runtime.storage import law_uses, revisions
from services.runtime.storage.database import Transaction
from services.runtime.storage.law_uses import ParameterConfirmation, Revocation, ValueUse

# More confirmations than this are of no use to anybody who lists values.
CONFIRMATION_COUNT_MAX = 10_000
NO_LAW = Law({})


class NoAssumedValue(Problem):
    """The service has no assumed value of this parameter with this digest."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "NO_ASSUMED_VALUE"
    message = (
        "{parameter} has no such assumed value here: it was changed, or it has a source; read it "
        "again with `oip law unconfirmed`."
    )
    message_zh = (
        "本服务的参数 {parameter} 没有这一暂定取值: 取值已变更或已有来源; "
        "请用 `oip law unconfirmed` 重新查看。"
    )


class ValueConfirmed(Problem):
    """The value is confirmed already."""

    kind, reason = Kind.DIFFERENT_EXISTS, "VALUE_CONFIRMED"
    message = "{parameter} is confirmed by {document} ({name}); revoke that confirmation first."
    message_zh = "{parameter} 已由 {document} 确认 ({name}); 如需重新确认, 请先撤销。"


class ConfirmationRevoked(Problem):
    """The confirmation was taken back before."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "CONFIRMATION_REVOKED"
    message = "{name} was taken back already; list the confirmations that are in force."
    message_zh = "{name} 已被撤销; 请查询仍然有效的确认。"


@dataclass(frozen=True)
class AssumedValue:
    """An assumed value with what is known of it."""

    version: ParameterVersion
    unit: str
    in_force: bool
    use: ValueUse | None = None

    @property
    def key(self) -> tuple[str, date, str, str]:
        """Its place in a list."""
        return self.version.name, self.version.since, self.version.jurisdiction, self.digest

    @property
    def digest(self) -> str:
        """Its digest as text."""
        return self.version.digest.hex()


class LawOperations(operations_pb2_grpc.OperationsServiceServicer):
    """The methods of OperationsService on assumed values."""

    _service: Service
    _context: ServiceContext

    async def ListAssumedValues(
        self, request: operations_pb2.ListAssumedValuesRequest, context: Context
    ) -> operations_pb2.ListAssumedValuesResponse:
        """By parameter, first day and place."""
        page = page_of(request, str, date, str, str)
        day = civil_day(self._context.clock.now())
        if request.HasField("date"):
            day = date_from_wire(request.date, "date")

        async def work(tx: Transaction) -> operations_pb2.ListAssumedValuesResponse:
            uses = await law_uses.list_uses(tx)
            confirmations = await law_uses.list_confirmations(
                tx, size=CONFIRMATION_COUNT_MAX, include_revoked=True
            )
            values = sorted(self._values(day, uses), key=lambda value: value.key)
            rows = [value for value in values if not page.after or value.key > page.after]
            return operations_pb2.ListAssumedValuesResponse(
                values=[_value_to_wire(row, confirmations) for row in rows[: page.size]],
                next_page_token=page.next_token(rows[: page.size], lambda row: row.key),
                province=self._context.province,
            )

        return await read(self._context, work)

    async def ConfirmParameters(
        self, request: operations_pb2.ConfirmParametersRequest, context: Context
    ) -> operations_pb2.ConfirmParametersResponse:
        """Each value as the service has it, once."""
        command = self._context.command()
        day = date_from_wire(request.document_date, "document_date")
        if day > command.today:
            raise Malformed.of(
                "document_date",
                "IN_FUTURE",
                "the document cannot be of a later day",
                "文件日期不得晚于今天",
            )
        document = request.document.strip()

        async def work(tx: Transaction) -> operations_pb2.ConfirmParametersResponse:
            confirmed = []
            for named in request.values:
                version = self._assumed(named.parameter, bytes(named.digest))
                await _require_unconfirmed(tx, version)
                confirmation = ParameterConfirmation(
                    id=names.id_from(request.request_id, caller().key, version.digest.hex()),
                    version=version,
                    document=document,
                    document_date=day,
                    member=command.member,
                    signer=signatures.signer(),
                    create_time=command.now,
                )
                await law_uses.insert(tx, confirmation)
                confirmed.append(confirmation_to_wire(confirmation))
            return operations_pb2.ConfirmParametersResponse(parameter_confirmations=confirmed)

        return await change(
            self._context,
            request,
            operations_pb2.ConfirmParametersResponse,
            work,
            resource=", ".join(named.parameter for named in request.values),
        )

    async def ListParameterConfirmations(
        self, request: operations_pb2.ListParameterConfirmationsRequest, context: Context
    ) -> operations_pb2.ListParameterConfirmationsResponse:
        """Oldest first."""
        page = page_of(request, datetime, str)

        async def work(tx: Transaction) -> list[ParameterConfirmation]:
            return await law_uses.list_confirmations(
                tx,
                size=page.size,
                after=page.after,
                include_revoked=request.include_revoked,
            )

        rows = await read(self._context, work)
        return operations_pb2.ListParameterConfirmationsResponse(
            parameter_confirmations=[confirmation_to_wire(row) for row in rows],
            next_page_token=page.next_token(rows, lambda row: row.key),
        )

    async def RevokeParameterConfirmation(
        self, request: operations_pb2.RevokeParameterConfirmationRequest, context: Context
    ) -> operations_pb2.ParameterConfirmation:
        """Take a confirmation back, once."""
        (confirmation_id,) = names.parse(request.name, "parameterConfirmations")
        command, reason = self._context.command(), request.reason.strip()

        async def work(tx: Transaction) -> operations_pb2.ParameterConfirmation:
            confirmation = await law_uses.find(tx, confirmation_id)
            if confirmation is None:
                raise NotFound(name=request.name)
            revisions.note(confirmation.name, confirmation)
            if confirmation.revocation is not None:
                raise ConfirmationRevoked(name=confirmation.name)
            revocation = Revocation(command.now, command.member, signatures.signer(), reason)
            await law_uses.update_revoked(tx, confirmation, revocation)
            return confirmation_to_wire(replace(confirmation, revocation=revocation))

        answer = operations_pb2.ParameterConfirmation
        return await change(self._context, request, answer, work, resource=request.name)

    def _values(self, day: date, uses: list[ValueUse]) -> list[AssumedValue]:
        """The assumed values in force on a day, and those that acts have used."""
        law = self._service.law or NO_LAW
        in_force = {
            value.version.digest: value.version
            for value in law.in_force(day, self._context.province)
            if value.is_assumed
        }
        by_digest = {use.version.digest: use for use in uses}
        versions = {digest: use.version for digest, use in by_digest.items()} | in_force
        return [
            AssumedValue(
                version,
                law.parameters[version.name].unit if version.name in law.parameters else "",
                digest in in_force,
                by_digest.get(digest),
            )
            for digest, version in versions.items()
        ]

    def _assumed(self, parameter: str, digest: bytes) -> ParameterVersion:
        """The assumed value that a digest names; raises NoAssumedValue."""
        law, province = self._service.law or NO_LAW, self._context.province
        for value in law.parameters[parameter].values if parameter in law.parameters else ():
            division = value.jurisdiction.rpartition("@")[2]
            is_here = division == NATIONAL or province_of(division) == province
            if is_here and value.is_assumed and value.version.digest == digest:
                return value.version
        raise NoAssumedValue(field="values", parameter=parameter)


async def _require_unconfirmed(tx: Transaction, version: ParameterVersion) -> None:
    """Refuse a second confirmation of a value; what is signed rests on those that there are."""
    earlier = await law_uses.list_of_parameter(tx, version.name)
    revisions.note(f"parameters/{version.name}", earlier)
    for confirmation in earlier:
        if confirmation.version.digest == version.digest and confirmation.revocation is None:
            raise ValueConfirmed(
                field="values",
                parameter=version.name,
                name=confirmation.name,
                document=confirmation.document,
            )


def _value_to_wire(
    value: AssumedValue, confirmations: list[ParameterConfirmation]
) -> operations_pb2.AssumedValue:
    version = value.version
    state, confirmation = _state(version, confirmations)
    return operations_pb2.AssumedValue(
        parameter=version.name,
        since_date=date_to_wire(version.since),
        jurisdiction=version.jurisdiction,
        value=version.value,
        unit=value.unit,
        source=version.source,
        digest=version.digest,
        state=enum_number(state),
        confirmation=confirmation,
        in_force=value.in_force,
        act_count=value.use.act_count if value.use else 0,
        last_act=value.use.last_act if value.use else "",
    )


def _state(
    version: ParameterVersion, confirmations: list[ParameterConfirmation]
) -> tuple[int, str]:
    """Whether a value is confirmed, and the confirmation in force."""
    states, state = operations_pb2.AssumedValue, operations_pb2.AssumedValue.UNCONFIRMED
    for confirmation in confirmations:
        other = confirmation.version
        if (other.name, other.since, other.jurisdiction) != (
            version.name,
            version.since,
            version.jurisdiction,
        ):
            continue
        if confirmation.revocation is not None:
            if other.digest == version.digest and state == states.UNCONFIRMED:
                state = states.REVOKED
        elif other.digest == version.digest:
            return states.CONFIRMED, confirmation.name
        else:
            state = states.CHANGED
    return state, ""


def confirmation_to_wire(
    confirmation: ParameterConfirmation,
) -> operations_pb2.ParameterConfirmation:
    """A confirmation as a message."""
    version, revocation = confirmation.version, confirmation.revocation
    message = operations_pb2.ParameterConfirmation(
        name=confirmation.name,
        parameter=version.name,
        since_date=date_to_wire(version.since),
        jurisdiction=version.jurisdiction,
        value=version.value,
        digest=version.digest,
        document=confirmation.document,
        document_date=date_to_wire(confirmation.document_date),
        maker_member=confirmation.member,
        signer_member=confirmation.signer,
        create_time=moment_to_wire(confirmation.create_time),
    )
    if revocation is not None:
        message.revoke_time.CopyFrom(moment_to_wire(revocation.time))
        message.revoke_member = revocation.member
        message.revoke_signer = revocation.signer
        message.revoke_reason = revocation.reason
    return message
