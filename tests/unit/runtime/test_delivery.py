from oip.operations.v1 import operations_pb2

from services.runtime.service.delivery import missing

Delivery = operations_pb2.Delivery
Consumed = operations_pb2.Delivery.Consumed


def claims(published: int = 3, written: int | None = None, epoch: str = "e1") -> Delivery:
    count = published if written is None else written
    return Delivery(epoch=epoch, published_seq=published, written_count=count)


def benefits(*consumed: Consumed) -> Delivery:
    return Delivery(epoch="b1", consumed=consumed)


def behind(first: Delivery, second: Delivery) -> list[str]:
    return list(map(str, missing({"claims": first, "benefits": second})))


def test_no_service_is_behind_when_all_is_consumed() -> None:
    consumed = Consumed(producer="claims", epoch="e1", event_count=3, max_seq=3)

    assert behind(claims(3), benefits(consumed)) == []


def test_a_listener_with_a_gap_is_behind() -> None:
    consumed = Consumed(producer="claims", epoch="e1", event_count=2, max_seq=3)

    assert behind(claims(3), benefits(consumed)) == ["benefits has consumed 2 of 3 of claims"]


def test_a_listener_that_consumed_nothing_is_behind() -> None:
    assert behind(claims(3), benefits(Consumed(producer="claims"))) == [
        "benefits has consumed 0 of 3 of claims"
    ]


def test_consuming_more_than_was_published_is_no_agreement_either() -> None:
    consumed = Consumed(producer="claims", epoch="e1", event_count=4, max_seq=4)

    assert behind(claims(3), benefits(consumed)) == ["benefits has consumed 4 of 3 of claims"]


def test_an_older_epoch_does_not_count_for_the_current_one() -> None:
    old = Consumed(producer="claims", epoch="e0", event_count=9, max_seq=9)
    new = Consumed(producer="claims", epoch="e1", event_count=3, max_seq=3)

    assert behind(claims(3), benefits(old)) == ["benefits has consumed 0 of 3 of claims"]
    assert behind(claims(3), benefits(old, new)) == []


def test_what_is_written_and_not_published_is_reported() -> None:
    assert behind(claims(3, written=5), benefits()) == ["claims has 2 events to publish"]


def test_a_producer_that_did_not_answer_is_left_out() -> None:
    consumed = Consumed(producer="orders", epoch="e1", event_count=1, max_seq=2)

    assert behind(claims(0), benefits(consumed)) == []


def test_other_events_under_the_same_numbers_are_no_agreement() -> None:
    published = Delivery(epoch="e1", published_seq=3, written_count=3, fingerprint=b"ours")
    consumed = Consumed(producer="claims", epoch="e1", event_count=3, max_seq=3)

    consumed.fingerprint = b"theirs"
    assert behind(published, benefits(consumed)) == [
        "benefits holds other events of claims than it published"
    ]
    consumed.fingerprint = b"ours"
    assert behind(published, benefits(consumed)) == []
