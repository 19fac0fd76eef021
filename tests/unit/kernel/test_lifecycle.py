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


class Lamp(Enum):
    OFF = 1
    ON = 2


LAMP = Lifecycle({"press": {Lamp.OFF: Lamp.ON, Lamp.ON: Lamp.OFF}, "break": {Lamp.ON: Lamp.OFF}})


def test_an_event_leads_where_the_table_says() -> None:
    assert LAMP.after(Lamp.OFF, "press") is Lamp.ON
    assert LAMP.after(Lamp.ON, "break") is Lamp.OFF


def test_what_the_table_does_not_allow_says_what_it_needs() -> None:
    with pytest.raises(TransitionNotAllowed) as caught:
        LAMP.after(Lamp.OFF, "break")

    assert caught.value.kind is Kind.NOT_ALLOWED_NOW
    assert caught.value.facts == {"event": "break", "state": "OFF", "needs": "ON"}
    assert "break needs ON, but the state is OFF" in caught.value.sentence
    assert "OFF" in caught.value.sentence_zh


def test_the_table_is_its_own_documentation() -> None:
    assert "| break | ON | OFF |" in LAMP.diagram()


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
    assert facts(grade=3, base=Fen(347380), lamp=Lamp.ON) == (
        ("grade", "3"),
        ("base", "347380 fen"),
        ("lamp", "ON"),
    )


def test_a_provision_is_written_as_it_is_cited() -> None:
    assert str(Provision("GB/T 16180-2014", "4.2", Tag.COMMON)) == "GB/T 16180-2014 4.2"
    assert str(Provision("劳动能力鉴定管理办法(2025)", "", Tag.LAW)) == "劳动能力鉴定管理办法(2025)"
