"""Every table holds every value whole: on a terminal of 80 columns, in a pipe, as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from oip.orders.v1 import orders_pb2

from services.cli import messages, tables, values
from services.cli.resources import COLUMNS, Method, methods
from services.cli.view import Format, set_view
from services.kernel.phrases import Language
from services.runtime.rpc import message_fields

LISTS = [method for method in methods() if method.verb == "list"]
LONG = "91350100M000100Y43"
AMOUNT = 987_654_321_012_345


@pytest.fixture(params=[80, None], ids=["terminal", "pipe"])
def most(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int | None:
    """The width of the output."""
    width: int | None = request.param
    monkeypatch.setattr(tables, "width", lambda: width)
    return width


@pytest.fixture(params=list(Language), ids=lambda language: language.value)
def language(request: pytest.FixtureRequest) -> Iterator[Language]:
    set_view(request.param, Format.TABLE)
    yield request.param
    set_view(None, Format.TABLE)


def filled(method: Method, number: int) -> Any:
    """A resource whose values are as long as they get."""
    message: Any = message_factory.GetMessageClass(method.rows_field.message_type)()
    for place, field in enumerate(message.DESCRIPTOR.fields):
        if not message_fields.is_value(field):
            continue
        value = content_of(field, f"{field.name}s/{LONG}/part{number}x{place}-{'0123456789' * 5}")
        if field.is_repeated:
            getattr(message, field.name).extend([value, value])
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(value)
        else:
            setattr(message, field.name, value)
    return message


def content_of(field: Any, text: str) -> Any:
    if field.message_type is not None:
        message: Any = message_factory.GetMessageClass(field.message_type)()
        for part, value in {"year": 2025, "month": 12, "day": 31, "seconds": 1_751_328_000}.items():
            if part in field.message_type.fields_by_name:
                setattr(message, part, value)
        return message
    if field.enum_type is not None:
        return field.enum_type.values[-1].number
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return True
    if field.type == FieldDescriptor.TYPE_BYTES:
        return bytes(range(32))
    if field.cpp_type in message_fields.NUMBERS:
        return AMOUNT if field.name.endswith(message_fields.FEN) else 2_000_000_000
    return text


def texts_in(message: Any, names: tuple[str, ...]) -> list[str]:
    row = messages.row_of(message, names)
    return [value.text for value in row.values()]


@pytest.mark.parametrize("method", LISTS, ids=lambda method: method.full_name.rpartition(".")[2])
def test_every_list_shows_every_value_whole(
    method: Method, most: int | None, language: Language, capsys: pytest.CaptureFixture[str]
) -> None:
    resources = [filled(method, number) for number in range(3)]
    columns = COLUMNS.get(method.group, ())

    messages.show_messages(resources, columns)

    shown = capsys.readouterr().out
    cut = [
        text
        for resource in resources
        for text in texts_in(resource, columns)
        if text not in shown and not other_language(resource, text, language)
    ]
    assert cut == []
    if most is None:
        assert shown.count("\n") == 2 + len(resources)


def other_language(resource: Any, text: str, language: Language) -> bool:
    """Whether a text is the one of a pair that people of the other language read."""
    names = [field.name for field in resource.DESCRIPTOR.fields]
    ends = {f"{name}_zh": name for name in names if f"{name}_zh" in names}
    hidden = ends.keys() if language is Language.EN else ends.values()
    return any(values.text_of(resource, name) == text for name in hidden)


@pytest.mark.usefixtures("most")
@pytest.mark.parametrize("method", LISTS, ids=lambda method: method.full_name.rpartition(".")[2])
def test_a_resource_shows_every_value_whole(
    method: Method, language: Language, capsys: pytest.CaptureFixture[str]
) -> None:
    resource = filled(method, 1)

    messages.show_message(resource)

    shown = capsys.readouterr().out
    cut = [text for text in texts_in(resource, ()) if text not in shown]
    assert [text for text in cut if not other_language(resource, text, language)] == []


@pytest.mark.parametrize("method", LISTS, ids=lambda method: method.full_name.rpartition(".")[2])
def test_csv_and_json_hold_all_fields_of_a_resource(
    method: Method, capsys: pytest.CaptureFixture[str]
) -> None:
    resource = filled(method, 1)
    names = [field.name for field in resource.DESCRIPTOR.fields]
    own = [field.name for field in values.fields_of(resource)]

    set_view(Language.EN, Format.CSV)
    messages.show_messages([resource], COLUMNS.get(method.group, ()))
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    set_view(Language.EN, Format.JSON)
    messages.show_messages([resource], COLUMNS.get(method.group, ()))
    (content,) = json.loads(capsys.readouterr().out)
    set_view(None, Format.TABLE)

    assert list(row) == own
    assert list(content) == names
    assert all(
        row[name] == values.value_of(resource, field).cell for name, field in fields(own, resource)
    )


def fields(names: list[str], resource: Any) -> Iterator[tuple[str, Any]]:
    return ((name, resource.DESCRIPTOR.fields_by_name[name]) for name in names)


def test_a_table_that_fits_is_aligned_and_a_wider_one_becomes_blocks() -> None:
    rows = [
        {"name": values.text_value("awards/a1"), "amount_fen": values.fen_value(123_456)},
        {"name": values.text_value("awards/a2"), "amount_fen": values.fen_value(5)},
    ]

    assert tables.as_lines(rows, ("name", "amount_fen"), 80) == [
        "name       amount (yuan)",
        "---------  -------------",
        "awards/a1       1,234.56",
        "awards/a2           0.05",
    ]
    assert tables.as_lines(rows, ("name", "amount_fen"), 20) == [
        "awards/a1",
        "  amount (yuan)  1,234.56",
        "awards/a2",
        "  amount (yuan)  0.05",
    ]


def test_chinese_takes_two_columns_and_its_own_titles(language: Language) -> None:
    rows = [{"state": values.text_value("已受理"), "name": values.text_value("claims/c1")}]

    heads = {Language.EN: "state   name", Language.ZH: "状态    名称"}
    assert tables.as_lines(rows, ("state", "name"), 80)[0] == heads[language]
    assert tables.as_lines(rows, ("state", "name"), 80)[2] == "已受理  claims/c1"


def test_a_cell_that_a_spreadsheet_would_execute_is_a_text() -> None:
    row = {"text": values.text_value("=1+1"), "amount_fen": values.fen_value(-5)}

    assert tables.as_csv([row], ("text", "amount_fen")).splitlines()[1] == "'=1+1,-5"


def test_a_column_that_is_empty_everywhere_is_left_out() -> None:
    rows = [{"name": values.text_value("a"), "reason": values.text_value("")}]

    assert not re.search("reason", "\n".join(tables.as_lines(rows, ("name", "reason"), 80)))


@pytest.mark.parametrize("method", list(methods()), ids=lambda method: method.full_name)
@pytest.mark.usefixtures("language")
def test_no_two_columns_of_a_table_have_one_title(method: Method) -> None:
    is_list = method.verb == "list"
    resource = method.rows_field.message_type if is_list else method.descriptor.output_type
    columns = COLUMNS.get(method.group, ()) if is_list else ()
    names = columns or [field.name for field in resource.fields if message_fields.is_value(field)]

    titles = [values.title(name) for name in messages.in_language(names)]

    assert sorted(titles) == sorted(set(titles))


@pytest.mark.usefixtures("most")
def test_an_answer_with_nothing_in_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    messages.show_message(orders_pb2.FindOrdersResponse())

    assert capsys.readouterr().out == "There are none.\n"
