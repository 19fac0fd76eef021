"""The distribution `oip-client`, built and installed where this tree cannot be imported."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def client_python(folder: Path) -> Path:
    """The interpreter of an environment with the wheel and its dependencies, made once a folder.

    Dependencies come from the present environment by their folder, so that nothing is downloaded.
    Its .pth files are not read there: an editable installation of this tree does not show.
    """
    environment = folder / "oip-client-environment"
    python = environment / "bin" / "python"
    if python.exists():
        return python
    wheel = _run(ROOT / "tools" / "client_distribution.py", folder / "oip-client").strip()
    _run("-m", "venv", "--without-pip", environment)
    pip = ("-m", "pip", "--disable-pip-version-check", "--python", python)
    _run(*pip, "install", "--quiet", "--no-index", "--no-deps", wheel)
    site = Path(_run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))", of=python))
    dependencies = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    (site / "dependencies.pth").write_text("\n".join(sorted(dependencies)) + "\n")
    return python


def _run(*arguments: object, of: Path = Path(sys.executable)) -> str:
    """The output of a Python command."""
    ended = subprocess.run(
        [of, *map(str, arguments)], check=False, capture_output=True, text=True, cwd=ROOT
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout.strip()
