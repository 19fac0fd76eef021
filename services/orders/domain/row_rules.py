"""Which rows of a batch are refused, and why: rules over whole columns, the first match wins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
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
    """Why a row was not stored, as numbered in the proto; of several the lowest is said.

    Except that a conflict with a stored row comes before one within the batch.
    """

    BAD_ORDER_NO = 1
    BAD_REVISION = 2
    UNKNOWN_INDUSTRY = 3
    BAD_STATE = 4
    BAD_ACCEPT_TIME = 5
    TIMES_OUT_OF_ORDER = 6
    TIME_IN_FUTURE = 7
    UNKNOWN_PLACE = 8
    SCHEME_NOT_IN_FORCE = 9
    WORKER_NOT_ENROLLED = 10
    CONFLICT_IN_BATCH = 11
    EXISTS_WITH_DIFFERENT_CONTENT = 12
    REVISION_OLDER_THAN_HELD = 13


CONFLICTS = (Status.CONFLICT_IN_BATCH, Status.EXISTS_WITH_DIFFERENT_CONTENT)

SENTENCES = {
    Status.BAD_ORDER_NO: "Send the order's own number, 1 to 64 printable characters.",
    Status.BAD_REVISION: "Number the states of an order from 1.",
    Status.UNKNOWN_INDUSTRY: "Send ride-hailing, instant delivery or same-city freight.",
    Status.BAD_STATE: "Send a known state: completed and cancelled orders with their end, "
    "accepted ones without, reversed ones with a reason of at most 200 characters.",
    Status.BAD_ACCEPT_TIME: "Send when the worker accepted the order; "
    "orders from before the scheme began anywhere are not accepted.",
    Status.TIMES_OUT_OF_ORDER: "Send acceptance, pick-up and end in this order, "
    "within the longest time an order may last.",
    Status.TIME_IN_FUTURE: "Send the record once its times have passed; check the clock and zone.",
    Status.UNKNOWN_PLACE: "Send a place of acceptance inside a pooling area of the province.",
    Status.SCHEME_NOT_IN_FORCE: "The scheme was not in force at the place of acceptance on that "
    "day; leave the order out, it is neither insured nor billed.",
    Status.WORKER_NOT_ENROLLED: "Enrol the worker with this platform first, then send it again.",
    Status.CONFLICT_IN_BATCH: "The batch has the same order and revision twice with different "
    "content; send a later state as a further revision.",
    Status.EXISTS_WITH_DIFFERENT_CONTENT: "This order and revision is already stored with other "
    "content; send the correction as a further revision.",
    Status.REVISION_OLDER_THAN_HELD: "A later revision of the order is already stored; "
    "nothing to do.",
}

SENTENCES_ZH = {
    Status.BAD_ORDER_NO: "请填写平台自己的订单编号, 1 至 64 个可打印字符。",
    Status.BAD_REVISION: "订单的版本号请从 1 起编。",
    Status.UNKNOWN_INDUSTRY: "行业请填写出行、即时配送或同城货运。",
    Status.BAD_STATE: "请填写有效的订单状态: 已完成和已取消的订单须有结束时间, 已接单的不得有, "
    "冲销的须有不超过 200 字的原因。",
    Status.BAD_ACCEPT_TIME: "请填写接单时间; 早于保障制度施行之日的订单不予接收。",
    Status.TIMES_OUT_OF_ORDER: "接单、取货(上客)、结束时间须依次先后, 且不超过单笔订单最长时长。",
    Status.TIME_IN_FUTURE: "时间尚未到来; 请核对时钟和时区, 待时间过后再报送。",
    Status.UNKNOWN_PLACE: "请填写位于本省统筹地区内的接单地。",
    Status.SCHEME_NOT_IN_FORCE: "当日该接单地尚未施行保障制度; 此订单不参保也不计费, 请勿报送。",
    Status.WORKER_NOT_ENROLLED: "请先为该人员在本平台办理参保登记, 再重新报送。",
    Status.CONFLICT_IN_BATCH: "同一批次中同一订单的同一版本出现两次且内容不同; "
    "后续状态请另编版本号。",
    Status.EXISTS_WITH_DIFFERENT_CONTENT: "该订单的此版本已存有不同内容; 更正请另编版本号报送。",
    Status.REVISION_OLDER_THAN_HELD: "该订单已存有更新的版本; 无须处理。",
}


@dataclass(frozen=True)
class Rules:
    """The rules in force that a batch is checked against; moments in Unix microseconds."""

    pooling_areas: tuple[int, ...]
    # When the scheme began in each pooling area, and in the first province.
    area_starts_us: tuple[int, ...]
    scheme_start_us: int
    now_us: int
    order_us_max: int


@dataclass(frozen=True)
class Refusals:
    """The rule that refuses each row: its number in CHECKS from 1, 0 for a sound row."""

    rule: pa.Int8Array
    pooling_area: pa.Int32Array

    @property
    def sound(self) -> pa.BooleanArray:
        """True where no rule refuses the row."""
        return pc.equal(self.rule, 0)


class _Batch:
    """The columns of a batch, with what several checks need."""

    def __init__(
        self,
        columns: Columns,
        rules: Rules,
        pooling_area: pa.Int32Array,
        not_enrolled: Sequence[int],
    ) -> None:
        self.columns, self.rules = columns, rules
        self.pooling_area, self.not_enrolled = pooling_area, not_enrolled

    @cached_property
    def has_pick_up(self) -> Any:
        return pc.not_equal(self.columns.pick_up_time, 0)

    @cached_property
    def has_ended(self) -> Any:
        return pc.not_equal(self.columns.end_time, 0)


def _bad_order_no(batch: _Batch) -> Any:
    number = batch.columns.order_no
    length = pc.utf8_length(number)
    return _any(
        pc.less(length, 1),
        pc.greater(length, ORDER_NO_LENGTH_MAX),
        pc.invert(pc.utf8_is_printable(number)),
        pc.not_equal(pc.utf8_length(pc.utf8_trim_whitespace(number)), length),
    )


def _bad_revision(batch: _Batch) -> Any:
    return pc.less(batch.columns.revision, 1)


def _unknown_industry(batch: _Batch) -> Any:
    return _not_in(batch.columns.industry, INDUSTRIES)


def _unknown_state(batch: _Batch) -> Any:
    return _not_in(batch.columns.state, tuple(State))


def _end_against_state(batch: _Batch) -> Any:
    """Completed or cancelled without an end, or accepted with one."""
    state, has_ended = batch.columns.state, batch.has_ended
    has_to_end = pc.is_in(state, value_set=pa.array(COUNTING_STATES, pa.int8()))
    is_open = pc.equal(state, State.ACCEPTED)
    return _any(pc.and_not(has_to_end, has_ended), pc.and_(is_open, has_ended))


def _bad_reason(batch: _Batch) -> Any:
    """Missing from a reversed order, too long, or not printable."""
    reason = batch.columns.reason
    length = pc.utf8_length(reason)
    return _any(
        pc.and_(pc.equal(batch.columns.state, State.REVERSED), pc.equal(length, 0)),
        pc.greater(length, REASON_LENGTH_MAX),
        pc.and_(pc.greater(length, 0), pc.invert(pc.utf8_is_printable(reason))),
    )


def _accepted_before_scheme(batch: _Batch) -> Any:
    return pc.less(batch.columns.accept_time, batch.rules.scheme_start_us)


def _pick_up_out_of_order(batch: _Batch) -> Any:
    """Before acceptance or after the end."""
    picked_up = batch.columns.pick_up_time
    is_late = pc.and_(batch.has_ended, pc.greater(picked_up, batch.columns.end_time))
    is_outside = _any(pc.less(picked_up, batch.columns.accept_time), is_late)
    return pc.and_(batch.has_pick_up, is_outside)


def _end_out_of_order(batch: _Batch) -> Any:
    """Before acceptance, or longer after it than an order may last."""
    accepted, ended = batch.columns.accept_time, batch.columns.end_time
    # Clamped so that the difference cannot overflow; such values are refused as future anyway.
    sane_end = pc.min_element_wise(pc.max_element_wise(ended, 0), LATEST_US)
    sane_start = pc.min_element_wise(pc.max_element_wise(accepted, 0), LATEST_US)
    too_long = pc.greater(pc.subtract(sane_end, sane_start), batch.rules.order_us_max)
    return pc.and_(batch.has_ended, _any(pc.less(ended, accepted), too_long))


def _accepted_in_future(batch: _Batch) -> Any:
    return pc.greater(batch.columns.accept_time, batch.rules.now_us)


def _picked_up_in_future(batch: _Batch) -> Any:
    return pc.greater(batch.columns.pick_up_time, batch.rules.now_us)


def _ended_in_future(batch: _Batch) -> Any:
    return pc.greater(batch.columns.end_time, batch.rules.now_us)


def _in_no_pooling_area(batch: _Batch) -> Any:
    return pc.is_null(batch.pooling_area)


def _accepted_before_scheme_of_area(batch: _Batch) -> Any:
    """Accepted before the first day of the scheme in its pooling area."""
    rules, accepted = batch.rules, batch.columns.accept_time
    if len(set(rules.area_starts_us)) == 1:
        return pc.less(accepted, rules.area_starts_us[0])
    areas = pa.array(rules.pooling_areas, pa.int32())
    starts = pa.array(rules.area_starts_us, pa.int64())
    start = starts.take(pc.index_in(batch.pooling_area, value_set=areas))
    return pc.fill_null(pc.less(accepted, start), fill_value=False)


def _not_enrolled(batch: _Batch) -> Any:
    worker = batch.columns.worker
    is_unknown = pc.less(worker, 1)
    if not batch.not_enrolled:
        return is_unknown
    absent = pa.array(batch.not_enrolled, pa.int64())
    return pc.or_(is_unknown, pc.is_in(worker, value_set=absent))


@dataclass(frozen=True)
class Check:
    """A rule over whole columns: the rows it refuses, with which status, for which field."""

    status: Status
    field: str
    refused: Callable[[_Batch], Any]


# In order of precedence; a check's number is its place from 1. A status may occur several times,
# with different fields.
CHECKS = (
    Check(Status.BAD_ORDER_NO, "order_no", _bad_order_no),
    Check(Status.BAD_REVISION, "revision", _bad_revision),
    Check(Status.UNKNOWN_INDUSTRY, "industry", _unknown_industry),
    Check(Status.BAD_STATE, "state", _unknown_state),
    Check(Status.BAD_STATE, "end_time", _end_against_state),
    Check(Status.BAD_STATE, "reason", _bad_reason),
    Check(Status.BAD_ACCEPT_TIME, "accept_time", _accepted_before_scheme),
    Check(Status.TIMES_OUT_OF_ORDER, "pick_up_time", _pick_up_out_of_order),
    Check(Status.TIMES_OUT_OF_ORDER, "end_time", _end_out_of_order),
    Check(Status.TIME_IN_FUTURE, "accept_time", _accepted_in_future),
    Check(Status.TIME_IN_FUTURE, "pick_up_time", _picked_up_in_future),
    Check(Status.TIME_IN_FUTURE, "end_time", _ended_in_future),
    Check(Status.UNKNOWN_PLACE, "place_of_acceptance", _in_no_pooling_area),
    Check(Status.SCHEME_NOT_IN_FORCE, "accept_time", _accepted_before_scheme_of_area),
    Check(Status.WORKER_NOT_ENROLLED, "worker", _not_enrolled),
)


def refuse(columns: Columns, rules: Rules, not_enrolled: Sequence[int]) -> Refusals:
    """Give each row the first rule that refuses it."""
    area = pooling_area(columns.place, rules.pooling_areas)
    batch = _Batch(columns, rules, area, not_enrolled)
    masks = [check.refused(batch) for check in CHECKS]
    if not any(pc.any(mask).as_py() for mask in masks):
        return Refusals(pa.repeat(pa.scalar(0, pa.int8()), len(columns)), area)
    numbers = [pa.scalar(number, pa.int8()) for number in range(1, len(CHECKS) + 1)]
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


def _not_in(column: Any, known: Sequence[int]) -> Any:
    return pc.invert(pc.is_in(column, value_set=pa.array(list(known), pa.int8())))


def _any(*masks: Any) -> Any:
    joined = masks[0]
    for mask in masks[1:]:
        joined = pc.or_(joined, mask)
    return joined
