"""Lifecycles, names and findings: small things that every service leans on."""

from __future__ import annotations

from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel import names
from services.kernel.law import Provision, Tag, facts
from services.kernel.lifecycle import Lifecycle, TransitionNotAllowed
from services.kernel.money import Fen
from services.kernel.problems import Kind, Malformed, NotFound


class State(Enum):
    """States that the protos know, so there are words for them."""

    ASSESSED = 1
    PAID = 2


BILL = Lifecycle(
    {
        "pay": {State.ASSESSED: State.PAID, State.PAID: State.PAID},
        "take_back": {State.PAID: State.ASSESSED},
    },
    {"pay": "缴清", "take_back": "冲销"},
)


def test_an_event_leads_where_the_table_says() -> None:
    assert BILL.after(State.ASSESSED, "pay") is State.PAID
    assert BILL.after(State.PAID, "take_back") is State.ASSESSED


def test_what_the_table_does_not_allow_says_what_it_needs() -> None:
    with pytest.raises(TransitionNotAllowed) as caught:
        BILL.after(State.ASSESSED, "take_back")

    assert caught.value.kind is Kind.NOT_ALLOWED_NOW
    assert caught.value.facts == {"event": "take_back", "state": "ASSESSED", "needs": "PAID"}
    assert "take back needs paid, but the state is assessed" in caught.value.sentence
    assert "冲销要求状态为已缴清, 当前状态为已核定" in caught.value.sentence_zh


def test_the_table_is_its_own_documentation() -> None:
    assert "| take_back | PAID | ASSESSED |" in BILL.diagram()


def test_names_nest_and_come_apart() -> None:
    assert names.name("claims", "c1", "evidence", 3) == "claims/c1/evidence/3"
    assert names.parse("claims/c1/evidence/3", "claims", "evidence") == ("c1", "3")


@pytest.mark.parametrize(
    "text", ["", "claims", "claims/", "claims/a b", "claims/c1/x", "workers/c1", "claims/../x"]
)
def test_what_is_no_name_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        names.parse(text, "claims", field="claim")

    assert caught.value.field == "claim"
    assert "claims/{id}" in caught.value.sentence


@given(st.text(min_size=1), st.text(), st.text())
def test_an_id_follows_from_the_request_alone(request: str, part: str, other_part: str) -> None:
    assert names.id_from(request, part) == names.id_from(request, part)
    assert (names.id_from(request, part) == names.id_from(request, other_part)) == (
        part == other_part
    )
    assert len(names.id_from(request)) == 16


def test_a_refusal_says_what_to_do_in_both_languages() -> None:
    problem = NotFound(name="claims/c1")

    assert "claims/c1" in problem.sentence
    assert "claims/c1" in problem.sentence_zh
    assert problem.facts == {"name": "claims/c1"}


def test_facts_are_text_that_people_can_read() -> None:
    assert facts(grade=3, base=Fen(347380), state=State.PAID) == (
        ("grade", "3"),
        ("base", "347380 fen"),
        ("state", "PAID"),
    )


def test_a_provision_is_written_as_it_is_cited() -> None:
    assert str(Provision("GB/T 16180-2014", "4.2", Tag.COMMON)) == "GB/T 16180-2014 4.2"
    assert str(Provision("劳动能力鉴定管理办法(2025)", "", Tag.LAW)) == "劳动能力鉴定管理办法(2025)"
