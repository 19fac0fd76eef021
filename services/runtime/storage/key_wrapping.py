"""How keys stand in the key file: in the clear, or wrapped by a command that asks a KMS.

The command (`OIP_KEY_WRAP_COMMAND`) gets `wrap` or `unwrap` as its last argument. It reads one text
from its input and writes one to its output: for `wrap` a key in base64 comes in and any text goes
out, for `unwrap` that text comes in and the key in base64 goes out. So a script of two lines can
call age, openssl, Vault, a PKCS#11 tool or the command line of a cloud. It runs when a process
reads the key file, never for a data key: each data key is wrapped in the process, with a key of the
file.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import select
import shlex
import signal
import subprocess
import time
from typing import Protocol

from services.runtime.base.refusals import StartRefusedError

COMMAND_SECONDS = 20.0
OUTPUT_BYTES_MAX = 16_384
_UNREADABLE = "OIP_KEY_WRAP_COMMAND cannot be read as a command ({error}); write it as in a shell"


class KeyWrapError(StartRefusedError):
    """The command that wraps keys does not answer as it should."""


class KeyWrapper(Protocol):
    """Wraps the keys of the key file."""

    # The field of a key in the file.
    field: str

    def wrap(self, key: bytes) -> str:
        """The text that stands in the file; raises KeyWrapError."""

    def unwrap(self, text: str) -> bytes:
        """The key of such a text; raises KeyWrapError or ValueError."""


class InTheClear:
    """Keys in base64: whoever reads the file has the keys."""

    field = "key"

    def wrap(self, key: bytes) -> str:
        """The key in base64."""
        return base64.b64encode(key).decode("ascii")

    def unwrap(self, text: str) -> bytes:
        """The key; raises ValueError."""
        return base64.b64decode(text, validate=True)


class WrapCommand:
    """Keys that a command wraps: whoever reads the file needs the command too."""

    field = "wrapped"

    def __init__(self, command: str, *, seconds: float = COMMAND_SECONDS) -> None:
        """Raises KeyWrapError for a text that names no command."""
        try:
            self._command = shlex.split(command)
        except ValueError as error:
            raise KeyWrapError(_UNREADABLE.format(error=error)) from None
        if not self._command:
            raise KeyWrapError(_UNREADABLE.format(error="it is blank"))
        self._seconds = seconds

    def wrap(self, key: bytes) -> str:
        """What the command makes of a key, once it has given the key back."""
        clear = base64.b64encode(key)
        wrapped = self._run("wrap", clear)
        if clear.decode() in wrapped:
            raise self._error("wrap", "writes the key as it is", "原样输出了密钥")
        if self.unwrap(wrapped) != key:
            raise self._error(
                "unwrap", "does not give back what it wrapped", "未能还原所封装的密钥"
            )
        return wrapped

    def unwrap(self, text: str) -> bytes:
        """The key of a text that the command has made."""
        answer = self._run("unwrap", text.encode())
        try:
            return base64.b64decode(answer, validate=True)
        except binascii.Error:
            raise self._error("unwrap", "writes no base64", "的输出不是 base64") from None

    def _run(self, action: str, content: bytes) -> str:
        """The output of the command; what it prints as an error may hold keys and is not shown."""
        try:
            process = subprocess.Popen(  # noqa: S603 - the operator's own command, without a shell
                [*self._command, action],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise self._error(
                action, f"cannot be started ({error.strerror})", "无法启动"
            ) from error
        with process:
            try:
                output = _exchange(process, content + b"\n", self._seconds).decode().strip()
            except TimeoutError:
                raise self._error(
                    action,
                    f"takes more than {self._seconds:g} seconds",
                    f"超过 {self._seconds:g} 秒",
                ) from None
            except UnicodeDecodeError:
                raise self._error(action, "writes no text", "的输出不是文本") from None
        code = process.returncode
        if code > 0 or (code and output):
            raise self._error(action, f"ends with code {code}", f"以代码 {code} 结束")
        if not output:
            raise self._error(
                action,
                f"writes nothing, or more than {OUTPUT_BYTES_MAX} bytes",
                f"没有输出, 或超过 {OUTPUT_BYTES_MAX} 字节",
            )
        return output

    def _error(self, action: str, fault: str, fault_zh: str) -> KeyWrapError:
        return KeyWrapError(
            f"`{self._command[0]} … {action}` of OIP_KEY_WRAP_COMMAND {fault}; run it by hand to"
            " see why",
            f"OIP_KEY_WRAP_COMMAND 的命令 `{self._command[0]} … {action}` {fault_zh}; "
            "请手动执行以查明原因。",
        )


def _exchange(process: subprocess.Popen[bytes], content: bytes, seconds: float) -> bytes:
    """What a command writes until it ends; nothing if it writes too much. Raises TimeoutError.

    A command that does not end by itself is killed, with all that it has started.
    """
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(content)
        process.stdin.close()
    written = b""
    try:
        written = _read(process, time.monotonic() + seconds)
    except (subprocess.TimeoutExpired, TimeoutError):
        raise TimeoutError from None
    finally:
        if not written:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return written


def _read(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    assert process.stdout is not None
    written = b""
    while len(written) <= OUTPUT_BYTES_MAX:
        left = max(0.0, deadline - time.monotonic())
        if not select.select([process.stdout], [], [], left)[0]:
            raise TimeoutError
        piece = os.read(process.stdout.fileno(), OUTPUT_BYTES_MAX)
        if not piece:
            process.wait(left)
            return written
        written += piece
    return b""


def wrapper_of(command: str) -> KeyWrapper:
    """How the keys of a deployment are wrapped; `command` is empty for keys in the clear."""
    return WrapCommand(command) if command else InTheClear()
