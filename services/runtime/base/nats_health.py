"""Whether a NATS server can store events, as its monitoring says.

After a write error, such as a full disk, nats-server stores nothing more until it is restarted: it
leaves every publish without an answer, also once the disk has space again.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request

SECONDS = 2.0
TEXT_LENGTH_MAX = 200


def store_error(monitor: str) -> str | None:
    """Why the server with this monitoring stores nothing; None if it does or does not answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{monitor}/healthz", timeout=SECONDS):
            return None
    except urllib.error.HTTPError as answer:
        return _reason(answer.read())
    except OSError:
        return None


def _reason(body: bytes) -> str:
    try:
        reason = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        reason = "its health check fails"
    return str(reason)[:TEXT_LENGTH_MAX]
