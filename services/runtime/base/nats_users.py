"""The users of NATS and what each may do: the only description, from which configurations come.

    python -m services.runtime.base.nats_users            prints deploy/nats-users.conf
    python -m services.runtime.base.nats_users FOLDER     prints nats-keys.conf for its keys

A service publishes its own subjects, reads and acknowledges its own consumers (which are named
after it, whatever the stream), and subscribes to its own inboxes. Streams and consumers belong to
the user of the migration, as tables belong to the owner of the database; it publishes no events.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from services.runtime.base.nats_keys import load_key
from services.runtime.base.settings import service_names

MIGRATION = "migrate"
KEYS_FILE = "nats-keys.conf"


@dataclass(frozen=True)
class Permissions:
    """The subjects that a user may publish and subscribe; the server refuses all others."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def nats_users() -> tuple[str, ...]:
    """Every user: the services, and the migration."""
    return (*service_names(), MIGRATION)


def permissions_of(user: str) -> Permissions:
    """What a user may do, in terms of the JetStream API."""
    inboxes = (f"{inbox_prefix(user)}.>",)
    if user == MIGRATION:
        return Permissions(("$JS.API.>",), inboxes)
    return Permissions(
        (
            f"oip.{user}.v1.>",
            "$JS.API.STREAM.INFO.*",
            f"$JS.API.STREAM.MSG.GET.{user.upper()}",
            f"$JS.API.CONSUMER.INFO.*.{user}",
            f"$JS.API.CONSUMER.MSG.NEXT.*.{user}",
            f"$JS.ACK.*.{user}.>",
        ),
        inboxes,
    )


def inbox_prefix(user: str) -> str:
    """Where answers to a user's requests arrive; nobody else may listen there."""
    return f"_INBOX_{user}"


def authorization(public_keys: Mapping[str, str]) -> str:
    """The section `authorization` of a server's configuration, for the users with these keys."""
    lines = ["authorization {", "  users: ["]
    for user, key in public_keys.items():
        allowed = permissions_of(user)
        lines += [
            "    {",
            f"      nkey: {key}",
            "      permissions: {",
            f"        publish: {json.dumps(allowed.publish)}",
            f"        subscribe: {json.dumps(allowed.subscribe)}",
            "      }",
            "    }",
        ]
    return "\n".join([*lines, "  ]", "}", ""])


def users_file() -> str:
    """The users of a deployment; their keys come from a file that the deployment makes."""
    return (
        "# The users of NATS and what each may do. Written by\n"
        "# `python -m services.runtime.base.nats_users`; the keys are those of the deployment.\n"
        f'include "{KEYS_FILE}"\n'
        + authorization({user: f"${_variable(user)}" for user in nats_users()})
    )


def keys_file(folder: Path, users: Iterable[str]) -> str:
    """The public keys of the users whose private keys are in a folder. Raises NatsKeyError."""
    keys = {user: load_key(folder / f"{user}.pem").public for user in users}
    return "".join(f"{_variable(user)}: {key}\n" for user, key in keys.items())


def _variable(user: str) -> str:
    return f"NATS_{user.upper()}"


def main() -> None:
    """Print the users, or the public keys of a folder."""
    folders = sys.argv[1:]
    sys.stdout.write(keys_file(Path(folders[0]), nats_users()) if folders else users_file())


if __name__ == "__main__":
    main()
