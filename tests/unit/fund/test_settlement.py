from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest

from services.fund.domain.equalisation import PensionBurden, burden_sharing, to_fen
from services.fund.domain.equalisation_rules import CLOSE_PARAMETERS, rules_on
from services.fund.domain.explanations import explain, explain_burden
from services.fund.domain.law import LAW
from services.fund.domain.ledger import Account, UnbalancedError
from services.fund.domain.settlement import (
    LIFECYCLE,
    Books,
    Settlement,
    State,
    Total,
    figures_in,
    province_in,
    settle,
    text_hash,
)
from services.kernel.lawbook import Law
from services.kernel.lifecycle import TransitionNotAllowed
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.kernel.scheme import Industry
from tests.rules.fund.adapter import books_of, pools_of

JULY = Month(2025, 7)


def e7() -> Settlement:
    books = books_of(JULY, pools_of({"pools": "E7"}))
    return settle(books, rules_on(LAW, JULY.last_day, "440000"), "440000")


def test_the_canonical_text_does_not_depend_on_the_order_of_the_totals() -> None:
    books = books_of(JULY, pools_of({"pools": "E7"}))
    turned = Books(JULY, tuple(reversed(books.totals)), books.openings, books.window)
    rules = rules_on(LAW, JULY.last_day, "440000")

    assert settle(books, rules, "440000").text == settle(turned, rules, "440000").text


def test_the_figures_are_read_back_from_the_canonical_text() -> None:
    settlement = e7()

    assert figures_in(settlement.text) == settlement.figures
    assert province_in(settlement.text) == "440000"


def test_figures_that_do_not_add_up_are_not_read() -> None:
    text = e7().text.replace("pool A 50000000 ", "pool A 50000001 ")

    with pytest.raises(ValueError, match="does not add up"):
        figures_in(text)


def test_the_text_is_made_of_lines_of_single_blanks_and_whole_numbers() -> None:
    lines = e7().text.splitlines()

    assert lines[0] == "oip.fund.settlement/1 440000 2025-07"
    assert "pool C 10000000 72000000 0 134000000 3351435 48648565 0 10500000" in lines
    assert all("  " not in line and line == line.strip() for line in lines)
    assert [line.split(" ")[1] for line in lines if line.startswith("parameter ")] == sorted(
        CLOSE_PARAMETERS
    )


def test_any_changed_posting_changes_the_hash() -> None:
    books = books_of(JULY, pools_of({"pools": "E7"}))
    other = Total("A", Account.SURCHARGE_INCOME, None, Fen(0), 0, 1, 1)
    changed = Books(JULY, (*books.totals[:-1], other), books.openings, books.window)
    rules = rules_on(LAW, JULY.last_day, "440000")

    assert settle(books, rules, "440000").hash != settle(changed, rules, "440000").hash


def test_the_hash_is_that_of_the_text() -> None:
    settlement = e7()

    assert settlement.hash == text_hash(settlement.text)
    assert len(settlement.hash) == 32


def test_the_month_is_explained_area_by_area_in_two_languages() -> None:
    findings = explain(e7())

    assert len(findings) == 1 + 3 + 2 * 3
    assert findings[1].text == "An order of RIDE_HAILING costs 0.73584905 fen: spending by orders."
    assert all(finding.text and finding.text_zh and finding.arithmetic for finding in findings)
    assert findings[4].text == "Risk adjustment of A in 2025-07: pays 25,477.47 yuan."
    assert findings[4].text_zh == "A 2025-07 风险调剂: 上解 25,477.47 元。"
    assert (
        "need 286222458.44 fen, strength 288770206.02 fen -> -2547747 fen" in findings[4].arithmetic
    )


def test_a_value_published_later_is_not_known_to_an_earlier_proposal() -> None:
    earlier = rules_on(LAW, date(2025, 7, 31), "440000", known=date(2025, 6, 30))
    later = rules_on(LAW, date(2025, 7, 31), "440000", known=date(2025, 7, 1))

    assert earlier.prior[Industry.RIDE_HAILING] == 4
    assert later.prior[Industry.RIDE_HAILING] == 1


def test_transfers_that_do_not_sum_to_zero_are_refused() -> None:
    with pytest.raises(UnbalancedError, match="the transfers sum to 1/2 fen"):
        to_fen({"440100": Fraction(3, 2), "440600": Fraction(-1)})


def test_a_risk_adjustment_that_does_not_exist_is_refused() -> None:
    parameter = LAW.parameters["risk_adjustment"]
    values = tuple(replace(value, value="m5") for value in parameter.values)
    law = Law({**LAW.parameters, "risk_adjustment": replace(parameter, values=values)})

    with pytest.raises(ValueError, match="m5"):
        rules_on(law, JULY.last_day, "440000")


@pytest.mark.parametrize("event", list(LIFECYCLE.table))
@pytest.mark.parametrize("state", list(State))
def test_only_the_table_leads_from_state_to_state(event: str, state: State) -> None:
    moves = LIFECYCLE.table[event]

    if state in moves:
        assert LIFECYCLE.after(state, event) is moves[state]
    else:
        with pytest.raises(TransitionNotAllowed):
            LIFECYCLE.after(state, event)


def test_a_closed_month_stays_closed() -> None:
    assert all(State.CLOSED not in moves for moves in LIFECYCLE.table.values())


def test_the_readme_shows_the_lifecycle() -> None:
    import services.fund

    readme = Path(services.fund.__file__).with_name("README.md").read_text(encoding="utf-8")
    rows = LIFECYCLE.diagram().splitlines()

    assert all(row in readme for row in rows)


def test_a_lowered_factor_of_burden_sharing_is_said_and_a_possible_one_is_not() -> None:
    pools = [PensionBurden("A", Fen(600), Fen(200), Fen(1))]

    lowered, plain = (
        explain_burden(burden_sharing(pools, Fraction(factor), Fraction(1, 2)))[0]
        for factor in (5, 3)
    )

    assert "so the factor is 3" in lowered.text
    assert "系数取 3" in lowered.text_zh
    assert "factor 5, factor_applied 3, own 600.00 fen" in lowered.arithmetic
    assert "factor" not in plain.text + plain.arithmetic
