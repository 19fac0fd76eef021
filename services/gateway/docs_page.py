"""The page at /docs: the description of all calls, made once from openapi.json.

It has no script, asks no other server, and its only style is its own.
"""

from __future__ import annotations

import base64
import html
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

OPENAPI_FILE = Path(__file__).with_name("openapi.json")
EXAMPLES_FILE = Path(__file__).with_name("examples.toml")

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:62rem;padding:1rem;color:#0b0c0c}
nav ul{columns:3;list-style:none;padding:0}section{border-top:2px solid #b1b4b6;margin-top:2rem}
h3{margin:2rem 0 .3rem}code,pre{font:14px/1.4 ui-monospace,monospace}a{color:#1d70b8}
.note{color:#505a5f}pre{background:#f3f2f1;overflow-x:auto;padding:.7rem}table{border-collapse:collapse;width:100%}
td{border-bottom:1px solid #b1b4b6;padding:.3rem .6rem .3rem 0;vertical-align:top}
"""
_HASH = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()
SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def docs_page(openapi_text: str) -> str:
    """The page for a description."""
    described = json.loads(openapi_text)
    operations: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for path, item in described["paths"].items():
        operations.setdefault(item["post"]["tags"][0], []).append((path, item["post"]))
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width,initial-scale=1'>",
        f"<title>oip {_text(described['info']['version'])}: calls</title>",
        f"<style>{_STYLE}</style><h1>Calls</h1>",
        _paragraphs(described["info"]["description"]),
        "<p>Machine-readable: <a href='/openapi.json'>/openapi.json</a>. The examples are for a",
        " POSIX shell; <code>GATEWAY</code> is the address of this gateway, <code>TOKEN</code> a",
        " token with one of the roles.</p><nav>",
        *(_index(tag, calls) for tag, calls in operations.items()),
        "</nav>",
    ]
    for tag in described["tags"]:
        name = tag["name"]
        parts.append(f"<section id='{name}'><h2>{name}</h2><p>{_text(tag['description'])}</p>")
        parts += [_operation(path, each) for path, each in operations[name]]
        parts.append("</section>")
    parts.append("<section id='schemas'><h2>Messages</h2>")
    parts += [_schema(name, each) for name, each in described["components"]["schemas"].items()]
    return "".join([*parts, "</section></html>"])


def _index(tag: str, calls: list[tuple[str, dict[str, Any]]]) -> str:
    links = "".join(
        f"<li><a href='#{each['operationId']}'>{_text(each['operationId'].partition('_')[2])}</a>"
        for _, each in calls
    )
    return f"<h2><a href='#{tag}'>{tag}</a></h2><ul>{links}</ul>"


def _operation(path: str, operation: dict[str, Any]) -> str:
    name = operation["operationId"]
    content = operation["requestBody"]["content"]
    kind, body = next(iter(content.items()))
    answer = next(iter(operation["responses"]["200"]["content"].values()))
    act = " A second person may have to sign." if "x-act" in operation else ""
    seconds = operation["x-longest-deadline-seconds"]
    return "".join(
        [
            f"<h3 id='{name}'>{_text(name.partition('_')[2])}</h3>",
            f"<p>{_text(operation['description'])}</p>",
            f"<p class='note'>Roles: {_text(', '.join(operation['x-roles']))}. Longest deadline:",
            f" {seconds} s.{act} Request: {_link(body['schema'])}. Answer:",
            f" {_link(answer['schema'])}.</p>",
            f"<pre>{_text(_curl(path, operation, kind, body))}</pre>",
        ]
    )


def _curl(path: str, operation: dict[str, Any], kind: str, body: dict[str, Any]) -> str:
    for parameter in operation["parameters"]:
        if parameter.get("in") == "path":
            path = path.replace(f"{{{parameter['name']}}}", parameter["example"])
    query = "&".join(
        f"{parameter['name']}={parameter['example']}"
        for parameter in operation["parameters"]
        if parameter.get("in") == "query"
    )
    url = f'"$GATEWAY{path}?{query}"' if query else f'"$GATEWAY{path}"'
    lines = [
        f"curl -sS {url}",
        '-H "Authorization: Bearer $TOKEN"',
        f'-H "Content-Type: {kind}"',
    ]
    if "example" in body:
        example = json.dumps(body["example"], ensure_ascii=False)
        lines.append("-d '" + example.replace("'", "'\\''") + "'")
    else:
        lines.append("--data-binary @orders.ndjson")
    return " \\\n  ".join(lines)


def _schema(name: str, schema: dict[str, Any]) -> str:
    begin = f"<h3 id='{name}'>{_text(name)}</h3>{_paragraphs(schema.get('description', ''))}"
    rows = "".join(
        f"<tr><td><code>{_text(field)}</code><td>{_kind(each)}<td>"
        f"{_text(each.get('description', ''))}"
        for field, each in schema.get("properties", {}).items()
    )
    return f"{begin}<table>{rows}</table>" if rows else begin


def _kind(schema: dict[str, Any]) -> str:
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    if "$ref" in schema:
        return _link(schema)
    kinds = schema.get("type", "")
    shown = " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
    return _text(shown)


def _link(schema: dict[str, Any]) -> str:
    name = schema.get("$ref", "").rpartition("/")[2]
    return f"<a href='#{name}'>{_text(name)}</a>" if name else _kind(schema)


def _paragraphs(text: str) -> str:
    """Paragraphs and lists of a short text with Markdown's dashes."""
    parts = []
    for block in text.strip().split("\n\n"):
        lines = [line for line in block.split("\n") if line]
        items = [line[2:] for line in lines if line.startswith("- ")]
        if items:
            parts.append(f"<ul>{''.join(f'<li>{_text(item)}' for item in items)}</ul>")
        elif lines:
            parts.append(f"<p>{_text(' '.join(lines))}</p>")
    return "".join(parts)


def _text(text: str) -> str:
    return html.escape(text)
