"""What `make dev` runs, for tests of the pages whose commands are run against it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from services.runtime.base.settings import service_names

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
START_SECONDS = 120


@dataclass
class Dev:
    """What `make dev` runs, with its own state folder and free ports."""

    environment: dict[str, str]
    url: str

    def run(self, script: str, folder: Path) -> str:
        """Run a script as a reader of the page would; what it prints."""
        script = script.replace("http://127.0.0.1:21080", self.url)
        script = script.replace("$PWD/.venv/bin", str(BIN))
        script = script.replace(".venv/bin/oip", str(BIN / "oip"))
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


def commands_of(page: str) -> str:
    """The commands of a page of docs/, in its order, with an empty line after each block."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return "\necho\n".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL))


@asynccontextmanager
async def dev_stack(folder: Path) -> AsyncIterator[Dev]:
    """The stack, in this folder, until the end of the block."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}:{ROOT / 'protos' / 'gen'}",
        "OIP_STATE_DIR": str(folder / "state"),
    } | {f"OIP_{name.upper()}_ADDRESS": "127.0.0.1:0" for name in (*service_names(), "gateway")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services",
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    shown = b""
    async with asyncio.timeout(START_SECONDS):
        while b"Stop with Ctrl+C." not in shown:
            line = await process.stdout.readline()
            assert line, shown.decode()
            shown += line
    printed = re.search(r"JSON +(http://\S+) +\(all calls: (\S+)\)", shown.decode())
    assert printed is not None, shown.decode()
    assert printed[2] == f"{printed[1]}/docs"
    yield Dev(environment, printed[1])
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
