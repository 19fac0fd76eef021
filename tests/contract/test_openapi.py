"""The description of all calls: valid, of the protos as they are, with examples that fit."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from google.protobuf.descriptor import MethodDescriptor
from openapi_spec_validator import validate

from services.gateway import json_messages
from services.gateway.docs_page import OPENAPI_FILE, SECURITY_POLICY, docs_page
from services.gateway.methods import UPLOAD_PATH, Methods, described_methods, path_of
from services.runtime.base.settings import service_names
from tools.openapi import examples_in_order, openapi_text

TEXT = OPENAPI_FILE.read_text(encoding="utf-8")
DESCRIBED: dict[str, Any] = json.loads(TEXT)
UNARY = [
    method
    for method in described_methods()
    if not (method.client_streaming or method.server_streaming)
]


def body_of(method: MethodDescriptor) -> Any:
    operation = DESCRIBED["paths"][path_of(method, "{service}")]["post"]
    return operation["requestBody"]["content"]["application/json"]


def test_the_file_is_what_the_protos_say() -> None:
    assert openapi_text() == TEXT, "write it with `make docs`, and read the diff"


def test_it_is_valid_openapi() -> None:
    assert DESCRIBED["openapi"] == "3.1.0"
    validate(DESCRIBED)


def test_it_describes_every_unary_call_and_the_upload() -> None:
    paths = {
        path.replace("{service}", service)
        for path in DESCRIBED["paths"]
        for service in (service_names() if "{service}" in path else ("",))
    }

    assert paths == Methods(service_names()).paths | {UPLOAD_PATH}


@pytest.mark.parametrize("method", UNARY, ids=lambda method: method.full_name)
def test_the_example_of_a_call_is_a_request_of_it(method: MethodDescriptor) -> None:
    example = body_of(method)["example"]
    found = Methods(service_names()).find(path_of(method, "claims"))
    request = json_messages.parse(json.dumps(example).encode(), found.request)

    assert {field.camelcase_name for field, _ in request.ListFields()} == set(example)


def test_what_the_page_shows_was_run() -> None:
    """tests/journeys/test_json_page.py runs the examples of this file."""
    shown = {
        method.full_name: body_of(method)["example"]
        for method in UNARY
        for each in examples_in_order()
        if each["method"] == method.full_name
    }

    assert shown == {each["method"]: json.loads(each["request"]) for each in examples_in_order()}


def test_every_field_and_value_has_its_comment() -> None:
    without = [
        f"{name}.{field}"
        for name, schema in DESCRIBED["components"]["schemas"].items()
        for field, each in schema.get("properties", {}).items()
        if name.startswith("oip.") and not each.get("description")
    ]

    assert without == []


class Links(HTMLParser):
    """The addresses and the ids of a page, and its elements."""

    def __init__(self) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.ids: set[str] = set()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in {"href", "src"} and value:
                self.links.add(value)
            if name == "id" and value:
                self.ids.add(value)


def test_the_page_asks_no_other_server_and_runs_no_script() -> None:
    page = Links()
    page.feed(docs_page(TEXT))

    assert not page.tags & {"script", "img", "link", "iframe", "form", "object"}
    assert {link for link in page.links if not link.startswith("#")} == {"/openapi.json"}
    assert "default-src 'none'" in SECURITY_POLICY


def test_every_link_of_the_page_leads_somewhere() -> None:
    page = Links()
    page.feed(docs_page(TEXT))
    inner = {link[1:] for link in page.links if link.startswith("#")}

    assert sorted(inner - page.ids) == []


def test_the_page_shows_a_command_for_every_call() -> None:
    text = docs_page(TEXT)

    assert len(re.findall(r"<pre>curl -sS", text)) == len(DESCRIBED["paths"])
    assert "{service}" not in text
