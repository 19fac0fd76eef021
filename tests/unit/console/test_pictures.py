"""Places in pictures follow from days and moments."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from oip.claims.v1 import claims_pb2
from oip.premiums.v1 import premiums_pb2
from oip.type.v1 import type_pb2

from services.console.clock_picture import WIDTH, clock_picture
from services.console.pictures import ageing, flows, order_time_line
from services.kernel.periods import SHANGHAI


def time_limit(not_counted: str = "none") -> type_pb2.Finding:
    facts = {"start_date": "2025-07-01", "not_counted": not_counted}
    return type_pb2.Finding(
        inputs=[type_pb2.Fact(name=name, value=value) for name, value in facts.items()],
        outputs=[type_pb2.Fact(name="due_date", value="2025-07-11")],
    )


def test_a_clock_shows_its_pauses_and_what_is_overdue() -> None:
    finding = time_limit("after 2025-07-03 up to 2025-07-05")
    picture = clock_picture(finding, date(2025, 7, 21))

    assert picture is not None
    assert picture.due_x == WIDTH / 2
    assert picture.today_x == WIDTH
    assert [colour for _, _, colour in picture.stretches] == ["blue", "red", "grey"]
    assert picture.stretches[2][:2] == (90.0, 90.0)


def test_a_pause_without_an_end_lasts_until_today() -> None:
    picture = clock_picture(time_limit("after 2025-07-06 up to further notice"), date(2025, 7, 11))

    assert picture is not None
    assert picture.stretches[-1] == (450.0, 450.0, "grey")


def test_a_limit_without_days_has_no_picture() -> None:
    assert clock_picture(type_pb2.Finding(), date(2025, 7, 1)) is None


def moment(minute: int) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(datetime(2025, 7, 1, 9, 0, tzinfo=SHANGHAI) + timedelta(minutes=minute))
    return stamp


def test_the_order_under_way_covers_the_moment_of_the_accident() -> None:
    at = datetime(2025, 7, 1, 9, 10, tzinfo=SHANGHAI)
    orders = [
        claims_pb2.OrderEvidence(
            order="platforms/A/orders/1",
            accept_time=moment(0),
            end_time=moment(30),
            under_way=True,
        ),
        claims_pb2.OrderEvidence(order="platforms/B/orders/2", accept_time=moment(40)),
    ]
    line = order_time_line(orders, at)

    assert line is not None
    first, second = line.spans
    assert first.x < line.moment_x < first.x + first.width
    assert second.x > line.moment_x
    assert (first.colour, second.colour) == ("blue", "grey")
    assert order_time_line([], at) is None


def test_transfers_go_to_both_sides_of_the_middle() -> None:
    up, down, none = flows([("440100", -200), ("440600", 100), ("441900", 0)])

    assert up.x + up.width == down.x
    assert up.width == 2 * down.width
    assert none.width == 0
    assert flows([("440100", 0)]) == []


def test_what_is_owed_stands_in_the_bucket_of_its_age() -> None:
    bills = [
        premiums_pb2.PremiumBill(premium_fen=500, due_date=Date(year=2025, month=8, day=15)),
        premiums_pb2.PremiumBill(
            premium_fen=900, received_fen=800, due_date=Date(year=2025, month=6, day=1)
        ),
        premiums_pb2.PremiumBill(
            premium_fen=100, received_fen=100, due_date=Date(year=2025, month=1, day=1)
        ),
    ]
    buckets = {each.days: (each.count, each.fen) for each in ageing(bills, date(2025, 8, 1))}

    assert buckets["0"] == (1, 500)
    assert buckets["61–90"] == (1, 100)
    assert buckets["> 90"] == (0, 0)
