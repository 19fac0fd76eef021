"""What stands in the way of a proposal, by the answers of the producers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.fund.domain.obstacles import delivery_obstacles
from services.fund.domain.producers import PRODUCERS, Deliveries, Delivery, Position

EPOCH, EARLIER = "e2", "e1"
HASH, OTHER = b"h" * 32, b"o" * 32


def delivered() -> Deliveries:
    """Five events of each producer, consumed by the fund, and those of claims also by benefits."""
    answers: dict[str, Delivery | None] = {
        name: Delivery(EPOCH, 5, 5, confirmed=HASH, fingerprint=HASH) for name in PRODUCERS
    }
    positions = {(name, EPOCH): Position(5, HASH) for name in PRODUCERS}
    fund = Delivery("", 0, 0, consumed=positions)
    benefits = answers["benefits"]
    assert benefits is not None
    answers["benefits"] = replace(benefits, consumed={("claims", EPOCH): Position(5, HASH)})
    return Deliveries(fund, answers, dict.fromkeys(PRODUCERS, 5))


def with_answer(deliveries: Deliveries, producer: str, **changes: object) -> Deliveries:
    answer = deliveries.answers[producer]
    assert answer is not None
    changed = replace(answer, **changes)  # type: ignore[arg-type]
    return replace(deliveries, answers={**deliveries.answers, producer: changed})


def reasons(deliveries: Deliveries) -> list[str]:
    return [obstacle.sentence for obstacle in delivery_obstacles(deliveries)]


def test_nothing_stands_in_the_way_when_all_is_delivered() -> None:
    assert reasons(delivered()) == []


def test_another_consumer_that_holds_other_events_stands_in_the_way() -> None:
    consumed = {("claims", EPOCH): Position(5, OTHER)}

    (sentence,) = reasons(with_answer(delivered(), "benefits", consumed=consumed))

    assert "benefits" in sentence
    assert "claims" in sentence


def test_an_event_that_comes_between_two_answers_is_no_difference() -> None:
    consumed = {("claims", EPOCH): Position(6, OTHER)}

    assert reasons(with_answer(delivered(), "benefits", consumed=consumed)) == []


@pytest.mark.parametrize(
    ("held", "lacking"), [(0, ["fund", "benefits"]), (2, ["fund", "benefits"]), (3, ["benefits"])]
)
def test_the_end_of_an_earlier_epoch_has_to_be_consumed(held: int, lacking: list[str]) -> None:
    deliveries = with_answer(delivered(), "claims", closed={EARLIER: 3})
    consumed = {("claims", EARLIER): Position(held, HASH), **deliveries.fund.consumed}
    deliveries = replace(deliveries, fund=replace(deliveries.fund, consumed=consumed))

    obstacles = delivery_obstacles(deliveries)

    assert [obstacle.facts["consumer"] for obstacle in obstacles] == lacking
