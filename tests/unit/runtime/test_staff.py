"""The caller that a token and the staff register make together."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from oip.staff.v1 import events_pb2
from oip.type.v1.type_pb2 import Access

from services.kernel.problems import Forbidden
from services.runtime.rpc.access import NotInStaffRegister
from services.runtime.rpc.staff import StaffEntry, caller_of
from services.runtime.rpc.tokens import DEVELOPMENT_ISSUER, Token
from tests.support.platforms import PEARL, SWIFT
from tests.support.staff import staff_entry, staff_grant

NOON = datetime(2025, 7, 1, 4, tzinfo=UTC)
LATE = datetime(2025, 7, 1, 17, tzinfo=UTC)  # 2 July in Shanghai


def token(*roles: int, platform: str = "", person: str = "") -> Token:
    return Token(DEVELOPMENT_ISSUER, "li", frozenset(roles), platform, person, NOON)


def entry(*grants: Any, **terms: Any) -> StaffEntry:
    message: events_pb2.StaffChanged = staff_entry("li", grants, **terms)
    return StaffEntry.parse(message.SerializeToString())


def test_only_roles_of_both_count() -> None:
    who = caller_of(
        token(Access.ADJUDICATOR, Access.FUND_OFFICER),
        entry(staff_grant("adjudicator"), staff_grant("appraiser")),
        frozenset({Access.ADJUDICATOR}),
        NOON,
    )

    assert who.roles == {Access.ADJUDICATOR}
    assert who.member == "staffMembers/li"


def test_a_service_needs_no_entry_and_lends_it_to_no_other_role() -> None:
    both = token(Access.SERVICE, Access.ADMINISTRATOR)

    assert caller_of(both, None, frozenset({Access.SERVICE}), NOON).roles == {Access.SERVICE}
    with pytest.raises(NotInStaffRegister):
        caller_of(both, None, frozenset({Access.ADMINISTRATOR}), NOON)


def test_a_worker_agent_speaks_for_the_person_of_the_token() -> None:
    who = caller_of(
        token(Access.WORKER_AGENT, person="workers/7"),
        None,
        frozenset({Access.WORKER_AGENT}),
        NOON,
    )

    assert (who.person, who.member, who.platform) == ("workers/7", "", "")


@pytest.mark.parametrize("platform", ["", PEARL])
def test_a_grant_at_one_platform_opens_no_other(platform: str) -> None:
    with pytest.raises(Forbidden):
        caller_of(
            token(Access.PLATFORM, platform=platform),
            entry(staff_grant("platform", SWIFT)),
            frozenset({Access.PLATFORM}),
            NOON,
        )


def test_a_platform_in_the_token_is_not_that_of_an_official() -> None:
    who = caller_of(
        token(Access.ADJUDICATOR, platform=SWIFT),
        entry(staff_grant("adjudicator")),
        frozenset({Access.ADJUDICATOR}),
        NOON,
    )

    assert (who.platform, who.is_platform) == ("", False)


def test_areas_and_limit_are_those_of_the_grants_that_open_the_method() -> None:
    known = entry(
        staff_grant("adjudicator", areas=["440100"], day_limit_fen=500),
        staff_grant("adjudicator", areas=["440300"], day_limit_fen=900),
        staff_grant("fund_officer"),
    )
    roles = token(Access.ADJUDICATOR, Access.FUND_OFFICER)
    adjudicating = caller_of(roles, known, frozenset({Access.ADJUDICATOR}), NOON)
    paying = caller_of(roles, known, frozenset({Access.FUND_OFFICER}), NOON)

    assert adjudicating.areas == {"440100", "440300"}
    assert adjudicating.day_limit_fen == 900
    assert paying.areas == set()
    assert paying.day_limit_fen == 0


def test_days_are_those_of_shanghai() -> None:
    known = entry(staff_grant("adjudicator", days=(date(2025, 7, 2), date(2025, 7, 2))))
    opening = frozenset({Access.ADJUDICATOR})

    with pytest.raises(Forbidden, match="begins on 2025-07-02"):
        caller_of(token(Access.ADJUDICATOR), known, opening, NOON)
    assert caller_of(token(Access.ADJUDICATOR), known, opening, LATE).member


def test_an_absence_rests_the_roles_of_the_register_alone() -> None:
    known = entry(staff_grant("adjudicator"), absences=[(date(2025, 7, 1), date(2025, 7, 3))])
    both = token(Access.ADJUDICATOR, Access.WORKER_AGENT)

    with pytest.raises(Forbidden, match="rests while its holder is absent, until 2025-07-03"):
        caller_of(both, known, frozenset({Access.ADJUDICATOR}), NOON)
    assert caller_of(both, known, frozenset({Access.WORKER_AGENT}), NOON).roles == {
        Access.WORKER_AGENT
    }
