"""Arguments of commands become fields of requests, and what cannot be read is one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from oip.benefits.v1 import benefits_pb2
from oip.claims.v1 import claims_pb2
from oip.orders.v1 import orders_pb2

from services.cli.claims import DECISION, judgements_in
from services.cli.fields import fill_request, option_name
from services.cli.refusals import Refused

Expense = benefits_pb2.GrantExpenseRequest


def filled(request: Any, **arguments: Any) -> Any:
    fill_request(request, arguments)
    return request


def test_amounts_days_choices_names_and_files_are_read(tmp_path: Path) -> None:
    document = tmp_path / "bill.pdf"
    document.write_bytes(b"bill")

    request = filled(
        Expense(),
        claim="c1",
        kind="medical-benefit",
        expense_date="2025-07-05",
        allowed_cost_fen="1234.5",
        document_hash=document,
        device=None,
    )

    assert request.claim == "claims/c1"
    assert request.kind == benefits_pb2.MEDICAL_BENEFIT
    assert (request.expense_date.month, request.allowed_cost_fen) == (7, 123_450)
    assert len(request.document_hash) == 32
    assert request.device == ""


def test_a_choice_is_known_in_both_languages() -> None:
    states = filled(claims_pb2.ListClaimsRequest(), states=["accepted", "已申请", "DETERMINED"])

    assert list(states.states) == [
        claims_pb2.Claim.ACCEPTED,
        claims_pb2.Claim.FILED,
        claims_pb2.Claim.DETERMINED,
    ]


def test_a_moment_without_a_zone_is_one_of_shanghai() -> None:
    request = filled(
        orders_pb2.FindOrdersRequest(), worker="7", moment="2025-07-15T12:00", margin="30m"
    )

    assert request.worker == "workers/7"
    assert request.moment.ToJsonString() == "2025-07-15T04:00:00Z"
    assert request.margin.seconds == 1800


@pytest.mark.parametrize(
    ("request_type", "arguments", "sentence"),
    [
        (Expense, {"kind": "wages"}, "wages is not known here; choose one of medical-benefit"),
        (Expense, {"expense_date": "5 July"}, "5 July is not a day"),
        (Expense, {"allowed_cost_fen": "1.001"}, "1.001 is not an amount"),
        (Expense, {"document_hash": Path("/none")}, "/none cannot be read: there is no such file"),
        (orders_pb2.FindOrdersRequest, {"moment": "noon"}, "noon is not a moment"),
        (orders_pb2.FindOrdersRequest, {"margin": "a while"}, "a while is not a time"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_in_each_language(
    request_type: Any, arguments: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(Refused) as refused:
        filled(request_type(), **arguments)

    assert refused.value.sentence.startswith(sentence)
    assert "。" in refused.value.sentence_zh


def test_a_list_is_given_one_by_one_under_its_singular() -> None:
    fields = claims_pb2.RequestEvidenceRequest.DESCRIPTOR.fields_by_name

    assert option_name(fields["items"]) == "item"


def test_a_decision_has_the_enquiry_and_the_judgements() -> None:
    request = claims_pb2.DetermineClaimRequest()
    DECISION.fill(
        request,
        {
            "name": "c1",
            "revision": 3,
            "harm_established": True,
            "exclusions": ["intoxication"],
            "judgements": ["order_execution=no: the app was closed"],
        },
    )

    assert request.name == "claims/c1"
    assert request.enquiry.harm_established
    assert list(request.enquiry.exclusions) == [claims_pb2.DetermineClaimRequest.INTOXICATION]
    (judgement,) = request.judgements
    assert (judgement.finding, judgement.met) == ("order_execution", False)
    with pytest.raises(Refused, match="is not a judgement"):
        list(judgements_in(["order_execution: yes"]))
