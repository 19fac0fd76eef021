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
import shlex
import subprocess
from typing import Protocol

from services.runtime.base.refusals import StartRefusedError

COMMAND_SECONDS = 20.0
OUTPUT_BYTES_MAX = 16_384


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
        self._command = shlex.split(command)
        self._seconds = seconds

    def wrap(self, key: bytes) -> str:
        """What the command makes of a key, once it has given the key back."""
        clear = base64.b64encode(key)
        wrapped = self._run("wrap", clear)
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
            done = subprocess.run(  # noqa: S603 - the operator's own command, without a shell
                [*self._command, action],
                input=content + b"\n",
                capture_output=True,
                timeout=self._seconds,
                check=False,
            )
            output = done.stdout[: OUTPUT_BYTES_MAX + 1].decode().strip()
        except OSError as error:
            raise self._error(
                action, f"cannot be started ({error.strerror})", "无法启动"
            ) from error
        except subprocess.TimeoutExpired:
            raise self._error(
                action, f"takes more than {self._seconds:g} seconds", f"超过 {self._seconds:g} 秒"
            ) from None
        except UnicodeDecodeError:
            raise self._error(action, "writes no text", "的输出不是文本") from None
        if done.returncode:
            raise self._error(
                action, f"ends with code {done.returncode}", f"以代码 {done.returncode} 结束"
            )
        if not output or len(output) > OUTPUT_BYTES_MAX:
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


def wrapper_of(command: str) -> KeyWrapper:
    """How the keys of a deployment are wrapped; `command` is empty for keys in the clear."""
    return WrapCommand(command) if command else InTheClear()
