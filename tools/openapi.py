"""Write services/gateway/openapi.json from the descriptors and comments of the protos.

Run by `make docs`; tests/contract holds the file to it. `openapi_schemas.py` has the messages.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import MethodDescriptor

from services.gateway.docs_page import EXAMPLES_FILE, OPENAPI_FILE
from services.gateway.errors import CODES
from services.gateway.methods import UPLOAD_PATH, described_methods, path_of
from services.gateway.uploads import ARROW, NDJSON
from services.runtime.base.settings import service_names
from services.runtime.rpc.access import OPERATIONS_SERVICE, deadline_cap, rule_in
from services.runtime.rpc.roles import role_name
from tools.openapi_schemas import REFERENCE, Schemas
from tools.proto_comments import comments

ROOT = Path(__file__).resolve().parent.parent
DESCRIPTION = """\
Occupational injury insurance for platform workers: every call of every service as JSON, by the \
[Connect protocol](https://connectrpc.com/docs/protocol). Each call is a POST with a JSON body and \
`Authorization: Bearer <token>`; the token, the limits, the reasons and the deadlines are those of \
gRPC.

- Field names are in lowerCamelCase. 64-bit integers (amounts in fen, ids of workers, counts) are \
written as texts and read as texts or numbers. Enums are written by their names, moments as \
`2025-07-01T09:00:00Z`, durations as `600s`, bytes in base64. Answers have fields without a value \
too. An unknown field is refused.
- A body has at most 4 MiB and may be compressed with gzip.
- `requestId` is chosen by the caller: the same request under the same id gets the first answer.
- A refusal has a code, a sentence (English, or Chinese for `Accept-Language: zh`) and details. \
`details[].debug.reason` is what programs branch on; docs/reasons.md lists all reasons.
- `Connect-Timeout-Ms` sets a deadline; without it a call may take as long as its method allows.
"""
_HEADERS = (
    (
        "Connect-Timeout-Ms",
        "The deadline in milliseconds.",
        {"type": "string", "pattern": "^[0-9]{1,10}$"},
    ),
    ("Accept-Language", "The language of the sentence of a refusal.", {"type": "string"}),
)


def openapi() -> dict[str, Any]:
    """The whole description."""
    texts = comments()
    methods = [
        method
        for method in described_methods()
        if not (method.client_streaming or method.server_streaming)
    ]
    schemas = Schemas(methods, texts)
    examples = {each["method"]: json.loads(each["request"]) for each in examples_in_order()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    paths = {
        path_of(method, "{service}"): {
            "post": _operation(method, schemas, texts, examples.get(method.full_name))
        }
        for method in methods
    }
    paths[UPLOAD_PATH] = {"post": _upload(texts, schemas)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "oip",
            "version": project["version"],
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The gateway that serves this description."}],
        "security": [{"token": []}],
        "tags": _tags(methods, texts),
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
            "parameters": {name: _header(name, text, schema) for name, text, schema in _HEADERS},
            "responses": {"Refusal": _refusal()},
            "schemas": {**schemas.components(), "Error": _error(), "UploadLine": _upload_line()},
        },
    }


def openapi_text() -> str:
    """The description as the file has it."""
    return json.dumps(openapi(), ensure_ascii=False, indent=1) + "\n"


def examples_in_order() -> list[dict[str, str]]:
    """The requests that a development stack answers."""
    content = tomllib.loads(EXAMPLES_FILE.read_text(encoding="utf-8"))
    return list(content["example"])


def _tags(methods: list[MethodDescriptor], texts: dict[str, str]) -> list[dict[str, str]]:
    services = {method.containing_service.full_name: None for method in methods}
    return [
        {"name": name.rpartition(".")[2], "description": texts[name]} for name in sorted(services)
    ]


def _operation(
    method: MethodDescriptor, schemas: Schemas, texts: dict[str, str], example: Any
) -> dict[str, Any]:
    rule = rule_in(method)
    assert rule is not None
    text = texts[method.full_name]
    service = method.containing_service
    parameters: list[dict[str, Any]] = [
        {"$ref": f"#/components/parameters/{name}"} for name, *_ in _HEADERS
    ]
    if service.full_name == OPERATIONS_SERVICE:
        parameters.insert(0, _service_parameter())
    operation: dict[str, Any] = {
        "operationId": f"{service.name}_{method.name}",
        "tags": [service.name],
        "summary": _first_sentence(text),
        "description": text,
        "x-roles": [role_name(role) for role in rule.roles],
        "x-longest-deadline-seconds": deadline_cap(rule),
        "parameters": parameters,
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": schemas.reference(method.input_type),
                    "example": schemas.example(method.input_type) if example is None else example,
                }
            },
        },
        "responses": {
            "200": {
                "description": texts.get(method.output_type.full_name, "The answer."),
                "content": {"application/json": {"schema": schemas.reference(method.output_type)}},
            },
            "default": {"$ref": "#/components/responses/Refusal"},
        },
    }
    if rule.act:
        operation["x-act"] = rule.act
    return operation


def _service_parameter() -> dict[str, Any]:
    return {
        "name": "service",
        "in": "path",
        "required": True,
        "description": "The service that is asked: every service has these calls.",
        "schema": {"type": "string", "enum": sorted(service_names())},
        "example": "orders",
    }


def _upload(texts: dict[str, str], schemas: Schemas) -> dict[str, Any]:
    def query(name: str, text: str, pattern: str, example: str) -> dict[str, Any]:
        schema = {"type": "string", "pattern": pattern}
        return {
            "name": name,
            "in": "query",
            "required": True,
            "description": text,
            "schema": schema,
            "example": example,
        }

    row = schemas.reference_by_name("oip.orders.v1.OrderRow")
    return {
        "operationId": "OrderService_UploadOrders",
        "tags": ["OrderService"],
        "summary": "Uploads orders, and answers with the receipt of each batch.",
        "description": (
            f"The body is either a row of JSON a line (`{NDJSON}`), or an Arrow IPC stream "
            f"(`{ARROW}`) with the columns that UploadOrdersRequest names, each record batch of "
            "which is one batch of at most 50,000 rows and 4 MiB. The answer has a line for each "
            "batch once it is stored; the last line is `end`, or `error` if the upload stopped. "
            "The same body under the same `run` gets the same receipts and stores nothing twice. "
            + texts["oip.orders.v1.OrderService.UploadOrders"]
        ),
        "x-roles": ["platform"],
        "x-longest-deadline-seconds": 3600,
        "parameters": [
            query(
                "platform",
                "The caller's own platform.",
                "^platforms/[0-9A-Z]{18}$",
                "platforms/91350100M000100Y43",
            ),
            query(
                "run",
                "The name of this upload, kept until every receipt is there.",
                "^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$",
                "2025-07-10",
            ),
        ],
        "requestBody": {
            "required": True,
            "content": {
                NDJSON: {"schema": row},
                ARROW: {"schema": {"type": "string", "format": "binary"}},
            },
        },
        "responses": {
            "200": {
                "description": "A line for each batch.",
                "content": {NDJSON: {"schema": {"$ref": f"{REFERENCE}UploadLine"}}},
            },
            "default": {"$ref": "#/components/responses/Refusal"},
        },
    }


def _header(name: str, text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": text, "schema": schema}


def _refusal() -> dict[str, Any]:
    return {
        "description": "The call is refused; the HTTP status follows the code.",
        "content": {"application/json": {"schema": {"$ref": f"{REFERENCE}Error"}}},
    }


def _error() -> dict[str, Any]:
    detail = {
        "type": "object",
        "description": "A part of the google.rpc.Status: ErrorInfo, BadRequest, RetryInfo, …",
        "properties": {
            "type": {"type": "string", "description": "The full name of its message."},
            "value": {"type": "string", "description": "The message in base64."},
            "debug": {"type": "object", "description": "The message as JSON."},
        },
        "required": ["type", "value"],
    }
    return {
        "type": "object",
        "description": "Why a call is refused.",
        "properties": {
            "code": {"type": "string", "enum": [word for word, _ in CODES.values()]},
            "message": {"type": "string", "description": "One sentence that says what to do."},
            "details": {"type": "array", "items": detail},
        },
        "required": ["code", "message"],
    }


def _upload_line() -> dict[str, Any]:
    count = {"type": "integer", "minimum": 0}
    return {
        "type": "object",
        "description": "A line of the answer to an upload.",
        "properties": {
            "batch": {**count, "description": "The number of the batch in the upload, from 0."},
            "batchId": {"type": "string", "description": "The id under which it is stored."},
            "firstRow": {**count, "description": "Its first row in a body of JSON, from 0."},
            "receipt": {"$ref": f"{REFERENCE}oip.orders.v1.OrderBatch"},
            "error": {"$ref": f"{REFERENCE}Error"},
            "end": {
                "type": "object",
                "description": "The last line of a complete upload.",
                "properties": {"batchCount": count},
            },
        },
    }


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].rstrip(".") + "."


def main() -> None:
    """Write the file."""
    OPENAPI_FILE.write_text(openapi_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
