"""Which rows of a batch are refused, and why: rules over whole columns, the first match wins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from services.kernel.scheme import Industry
from services.orderlog.columns import Columns

ORDER_NO_LENGTH_MAX = 64
REASON_LENGTH_MAX = 200
MICROSECONDS_PER_DAY = 86_400_000_000
# China Standard Time; there has been no summer time since 1991, long before the scheme.
SHANGHAI_OFFSET_US = 8 * 3_600_000_000
# Far beyond any order, and within what PostgreSQL and Arrow can hold (2100-01-01).
LATEST_US = 4_102_444_800_000_000


class State(IntEnum):
    """The states of an order, as numbered in the proto."""

    ACCEPTED = 1
    COMPLETED = 2
    CANCELLED = 3
    REVERSED = 4


COUNTING_STATES = (State.COMPLETED, State.CANCELLED)
INDUSTRIES = tuple(industry.value for industry in Industry)


class Status(IntEnum):
    """Why a row was not stored, in order of precedence, as numbered in the proto."""

    BAD_ORDER_NO = 1
    BAD_REVISION = 2
    UNKNOWN_INDUSTRY = 3
    BAD_STATE = 4
    BAD_ACCEPT_TIME = 5
    TIMES_OUT_OF_ORDER = 6
    TIME_IN_FUTURE = 7
    UNKNOWN_PLACE = 8
    WORKER_NOT_ENROLLED = 9
    CONFLICT_IN_BATCH = 10
    EXISTS_WITH_DIFFERENT_CONTENT = 11
    REVISION_OLDER_THAN_HELD = 12


CONFLICTS = (Status.CONFLICT_IN_BATCH, Status.EXISTS_WITH_DIFFERENT_CONTENT)

SENTENCES = {
    Status.BAD_ORDER_NO: "Send the order's own number, 1 to 64 printable characters.",
    Status.BAD_REVISION: "Number the states of an order from 1.",
    Status.UNKNOWN_INDUSTRY: "Send ride-hailing, instant delivery or same-city freight.",
    Status.BAD_STATE: "Send a known state: completed and cancelled orders with their end, "
    "accepted ones without, reversed ones with a reason of at most 200 characters.",
    Status.BAD_ACCEPT_TIME: "Send when the worker accepted the order; "
    "orders from before the scheme began are not accepted.",
    Status.TIMES_OUT_OF_ORDER: "Send acceptance, pick-up and end in this order, "
    "within the longest time an order may last.",
    Status.TIME_IN_FUTURE: "Send the record once its times have passed; check the clock and zone.",
    Status.UNKNOWN_PLACE: "Send a place of acceptance inside a pooling area of the province.",
    Status.WORKER_NOT_ENROLLED: "Enrol the worker with this platform first, then send it again.",
    Status.CONFLICT_IN_BATCH: "The batch has the same order and revision twice with different "
    "content; send a later state as a further revision.",
    Status.EXISTS_WITH_DIFFERENT_CONTENT: "This order and revision is already stored with other "
    "content; send the correction as a further revision.",
    Status.REVISION_OLDER_THAN_HELD: "A later revision of the order is already stored; "
    "nothing to do.",
}


@dataclass(frozen=True)
class Rules:
    """The rules in force that a batch is checked against; moments in Unix microseconds."""

    pooling_areas: tuple[int, ...]
    scheme_start_us: int
    now_us: int
    order_us_max: int


@dataclass(frozen=True)
class Refusals:
    """The rule that refuses each row: an index into REASONS, 0 for a sound row."""

    rule: pa.Int8Array
    pooling_area: pa.Int32Array

    @property
    def sound(self) -> pa.BooleanArray:
        """True where no rule refuses the row."""
        return pc.equal(self.rule, 0)


# The index is the rule's number; a status may occur several times, with different fields.
REASONS: tuple[tuple[Status, str], ...] = (
    (Status.BAD_ORDER_NO, ""),  # 0: sound
    (Status.BAD_ORDER_NO, "order_no"),
    (Status.BAD_REVISION, "revision"),
    (Status.UNKNOWN_INDUSTRY, "industry"),
    (Status.BAD_STATE, "state"),
    (Status.BAD_STATE, "end_time"),
    (Status.BAD_STATE, "reason"),
    (Status.BAD_ACCEPT_TIME, "accept_time"),
    (Status.TIMES_OUT_OF_ORDER, "pick_up_time"),
    (Status.TIMES_OUT_OF_ORDER, "end_time"),
    (Status.TIME_IN_FUTURE, "accept_time"),
    (Status.TIME_IN_FUTURE, "pick_up_time"),
    (Status.TIME_IN_FUTURE, "end_time"),
    (Status.UNKNOWN_PLACE, "place_of_acceptance"),
    (Status.WORKER_NOT_ENROLLED, "worker"),
)


def refuse(columns: Columns, rules: Rules, not_enrolled: Sequence[int]) -> Refusals:
    """Give each row the first rule that refuses it."""
    area = pooling_area(columns.place, rules.pooling_areas)
    masks = [*_own_rules(columns), *_time_rules(columns, rules), pc.is_null(area)]
    is_unknown = pc.less(columns.worker, 1)
    if not_enrolled:
        is_absent = pc.is_in(columns.worker, value_set=pa.array(not_enrolled, pa.int64()))
        is_unknown = pc.or_(is_unknown, is_absent)
    masks.append(is_unknown)
    if not any(pc.any(mask).as_py() for mask in masks):
        return Refusals(pa.repeat(pa.scalar(0, pa.int8()), len(columns)), area)
    numbers = [pa.scalar(number, pa.int8()) for number in range(1, len(masks) + 1)]
    names = [str(number) for number in range(len(masks))]
    conditions = pc.make_struct(*masks, field_names=names)
    rule = pc.case_when(conditions, *numbers, pa.scalar(0, pa.int8()))
    return Refusals(rule, area)


def pooling_area(place: pa.Int32Array, areas: Sequence[int]) -> pa.Int32Array:
    """The pooling area a place lies in: itself or its prefecture; null if it is in none."""
    known = pa.array(areas, pa.int32())
    prefecture = pc.multiply(pc.divide(place, 100), 100).cast(pa.int32())
    nothing = pa.scalar(None, pa.int32())
    inside = pc.if_else(pc.is_in(prefecture, value_set=known), prefecture, nothing)
    return pc.if_else(pc.is_in(place, value_set=known), place, inside)


def _own_rules(columns: Columns) -> list[Any]:
    number, state, reason = columns.order_no, columns.state, columns.reason
    length = pc.utf8_length(number)
    bad_number = _any(
        pc.less(length, 1),
        pc.greater(length, ORDER_NO_LENGTH_MAX),
        pc.invert(pc.utf8_is_printable(number)),
        pc.not_equal(pc.utf8_length(pc.utf8_trim_whitespace(number)), length),
    )
    ended = pc.not_equal(columns.end_time, 0)
    has_to_end = pc.is_in(state, value_set=pa.array(COUNTING_STATES, pa.int8()))
    wrong_end = _any(pc.and_not(has_to_end, ended), pc.and_(pc.equal(state, State.ACCEPTED), ended))
    reason_length = pc.utf8_length(reason)
    wrong_reason = _any(
        pc.and_(pc.equal(state, State.REVERSED), pc.equal(reason_length, 0)),
        pc.greater(reason_length, REASON_LENGTH_MAX),
        pc.and_(pc.greater(reason_length, 0), pc.invert(pc.utf8_is_printable(reason))),
    )
    return [
        bad_number,
        pc.less(columns.revision, 1),
        pc.invert(pc.is_in(columns.industry, value_set=pa.array(INDUSTRIES, pa.int8()))),
        pc.invert(pc.is_in(state, value_set=pa.array(list(State), pa.int8()))),
        wrong_end,
        wrong_reason,
    ]


def _time_rules(columns: Columns, rules: Rules) -> list[Any]:
    accepted, picked_up, ended = columns.accept_time, columns.pick_up_time, columns.end_time
    has_pick_up, has_ended = pc.not_equal(picked_up, 0), pc.not_equal(ended, 0)
    # Clamped so that the difference cannot overflow; such values are refused as future anyway.
    sane_end = pc.min_element_wise(pc.max_element_wise(ended, 0), LATEST_US)
    sane_start = pc.min_element_wise(pc.max_element_wise(accepted, 0), LATEST_US)
    too_long = pc.greater(pc.subtract(sane_end, sane_start), rules.order_us_max)
    too_early_or_late = _any(
        pc.less(picked_up, accepted), pc.and_(has_ended, pc.greater(picked_up, ended))
    )
    return [
        pc.less(accepted, rules.scheme_start_us),
        pc.and_(has_pick_up, too_early_or_late),
        pc.and_(has_ended, _any(pc.less(ended, accepted), too_long)),
        pc.greater(accepted, rules.now_us),
        pc.greater(picked_up, rules.now_us),
        pc.greater(ended, rules.now_us),
    ]


def _any(*masks: Any) -> Any:
    joined = masks[0]
    for mask in masks[1:]:
        joined = pc.or_(joined, mask)
    return joined
