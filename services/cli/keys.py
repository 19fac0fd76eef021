"""`oip keys`: the keys that wrap data keys; add one, and wrap all data keys with it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from oip.operations.v1 import operations_pb2
from rich.progress import Progress

from services.cli.connection import Connection, Refused, connection_of, run
from services.cli.operations import services_named, stub_of
from services.cli.output import error_console, progress_bars
from services.cli.tables import show_rows
from services.cli.values import count_value, text_value, truth_value
from services.cli.view import say
from services.runtime.base.refusals import StartRefusedError
from services.runtime.base.settings import Settings
from services.runtime.storage.key_file import add_key, make_keys, wrap_file
from services.runtime.storage.key_wrapping import wrapper_of

app = typer.Typer(
    no_args_is_help=True,
    help="Keys of the data at rest (静态数据加密密钥).",
)


KeyFilePath = Annotated[
    Path | None, typer.Option(help="The key file; by default that of the settings.")
]


@app.command()
def create(key_file: KeyFilePath = None) -> None:
    """Make the key file of a deployment on this machine; one that exists stays.

    With OIP_KEY_WRAP_COMMAND the keys are wrapped. Keep a copy on another machine than the
    databases: without it nobody can read them.
    """
    path, wrapper = key_file or Settings().keys_path, wrapper_of(Settings().key_wrap_command)
    if path.exists():
        raise Refused(
            "{path} exists; add a key to it with `oip keys new`.",
            "{path} 已存在; 请用 `oip keys new` 向其中添加密钥。",
            path=path,
        )
    with _refusals():
        make_keys(path, wrapper)
    typer.echo(
        say(
            f"{path} has the key k1 and the key of the index.",
            f"{path} 已含密钥 `k1` 和索引密钥。",
        )
    )


@app.command()
def wrap(key_file: KeyFilePath = None) -> None:
    """Wrap the keys that stand in the clear in a key file with OIP_KEY_WRAP_COMMAND.

    The keys stay the same, so that nothing else changes. Give the file and the setting to every
    replica, restart them, and destroy the copies with keys in the clear.
    """
    path, command = key_file or Settings().keys_path, Settings().key_wrap_command
    if not command:
        raise Refused(
            "Set OIP_KEY_WRAP_COMMAND to the command that wraps keys (deploy/README.md).",
            "请将 OIP_KEY_WRAP_COMMAND 设为封装密钥的命令 (deploy/README.md)。",
        )
    with _refusals():
        count = wrap_file(path, wrapper_of(command))
    typer.echo(say(f"{count} keys of {path} were wrapped.", f"已封装 {path} 中的 {count} 个密钥。"))


@app.command()
def new(key_file: KeyFilePath = None) -> None:
    """Add a wrapping key to a key file on this machine. It becomes the newest."""
    path, wrapper = key_file or Settings().keys_path, wrapper_of(Settings().key_wrap_command)
    with _refusals():
        key_id = add_key(path, wrapper)
    typer.echo(
        say(
            f"{path} has the new key {key_id}. Give the file to every replica, then run"
            f" `oip keys rotate --key {key_id}`.",
            f"{path} 已有新密钥 {key_id}。请将该文件分发到每个副本, 然后执行"
            f" `oip keys rotate --key {key_id}`。",
        )
    )


@app.command()
def show(
    context: typer.Context,
    service: Annotated[str, typer.Option(help="Only those of this service.")] = "",
) -> None:
    """Show how many data keys each wrapping key wraps, the newest wrapping key last."""
    connection = connection_of(context)
    names = services_named(connection, service)
    rows = [
        {
            "service": text_value(name),
            "wrapping_key": text_value(row.wrapping_key),
            "data_key_count": count_value(row.data_key_count),
            "in_key_file": truth_value(row.in_key_file),
        }
        for name, keys in run(lambda: _all_keys(connection, names))
        for row in keys.wrapped
    ]
    show_rows(rows, ("service", "wrapping_key", "data_key_count", "in_key_file"))


@app.command()
def rotate(
    context: typer.Context,
    key: Annotated[str, typer.Option(help="The newest key, as `oip keys new` printed it.")],
    service: Annotated[str, typer.Option(help="Only data keys of this service.")] = "",
) -> None:
    """Wrap all data keys with the newest key. Data, hashes and signatures do not change.

    An interrupted rotation goes on with the same command.
    """
    connection = connection_of(context)
    names = services_named(connection, service)

    async def call(bars: Progress) -> None:
        async with connection.channels("administrator") as channels:
            for name in names:
                stub, bar, done = stub_of(channels, name), bars.add_task(name, total=None), 0
                remaining_count = 1
                while remaining_count:
                    answer = await stub.RewrapDataKeys(
                        operations_pb2.RewrapDataKeysRequest(
                            request_id=f"rewrap-{uuid.uuid4().hex}", wrapping_key=key
                        )
                    )
                    remaining_count = answer.remaining_count
                    done += answer.rewrapped_count
                    bars.update(bar, completed=done, total=done + remaining_count)

    with progress_bars(error_console()) as bars:
        run(lambda: call(bars))
    typer.echo(
        say(
            f"{key} wraps all data keys. Once `oip keys show` has no row with another key,"
            " the older keys can be taken out of the key file.",
            f"全部数据密钥已由 {key} 封装。待 `oip keys show` 不再显示其他密钥,"
            " 即可从密钥文件中移除旧密钥。",
        )
    )


@contextmanager
def _refusals() -> Iterator[None]:
    """What is wrong with a key file or its command, as one sentence."""
    try:
        yield
    except StartRefusedError as error:
        raise Refused(str(error), error.sentence_zh) from error
    except (ValueError, KeyError) as error:
        raise Refused(
            "The key file cannot be used: {what}.", "密钥文件无法使用: {what}。", what=error
        ) from error


async def _all_keys(
    connection: Connection, names: list[str]
) -> list[tuple[str, operations_pb2.DataKeys]]:
    async with connection.channels("administrator") as channels:
        request = operations_pb2.GetDataKeysRequest()
        return [(name, await stub_of(channels, name).GetDataKeys(request)) for name in names]
