"""What a client makes of an error of gRPC."""

import grpc
from grpc_status import rpc_status

from services.runtime.rpc.client import problem_of
from services.runtime.rpc.error_status import status_of


def error(
    code: grpc.StatusCode, trailing: tuple[tuple[str, bytes], ...] = (), details: str = ""
) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, (), trailing, details=details)  # type: ignore[arg-type]


def test_a_message_that_could_not_be_sent_leaves_the_outcome_unknown() -> None:
    """A stream that a service ends at once: its refusal may be lost to the message on its way."""
    problem = problem_of(error(grpc.StatusCode.INTERNAL, details="Failed to send the message"))

    assert problem.code is grpc.StatusCode.UNAVAILABLE
    assert problem.is_unreachable


def test_a_fault_inside_a_service_stays_one() -> None:
    status = rpc_status.to_status(status_of(KeyError("x"), "claims"))
    problem = problem_of(error(status.code, tuple(status.trailing_metadata), status.details))

    assert (problem.code, problem.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert not problem.is_unreachable
