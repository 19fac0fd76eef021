"""Becomes a server process: `confine.py MODE DEATH_SIGNAL PARENT PROGRAM ARGUMENT…`.

PostgreSQL refuses to run as root. For root, MODE is `namespace` (a user namespace in which the
process is nobody while files stay root's, so that no file changes its owner and private folders
work) or `nobody` (change to the user nobody). With `none` the user stays the same. This script
needs the standard library only.
"""

import ctypes
import os
import sys
from pathlib import Path

NOBODY = 65534
CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1


def become(mode: str) -> None:
    """Take the identity of the mode; raises OSError if the kernel refuses."""
    if mode == "namespace":
        user, group = os.geteuid(), os.getegid()
        _call("unshare", CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{NOBODY} {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{NOBODY} {group} 1", encoding="ascii")
    elif mode == "nobody":
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def _call(name: str, *arguments: int) -> None:
    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    if function(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name} was refused")


def main() -> None:
    """Change the identity, end with the parent, and execute the program."""
    mode, death_signal, parent, *command = sys.argv[1:]
    become(mode)
    _call("prctl", PR_SET_PDEATHSIG, int(death_signal))
    if os.getppid() != int(parent):
        sys.exit("the parent has ended")
    if command[0] == "probe":
        probe(Path(command[1]), command[2])
    os.execv(command[0], command)  # noqa: S606 - the parent chose the program


def probe(folder: Path, program: str) -> None:
    """Test this identity: exit 0 if it can write to the folder and run the program."""
    trial = folder / ".trial"
    trial.write_bytes(b"")
    trial.unlink()
    sys.exit(0 if os.access(program, os.R_OK | os.X_OK) else 1)


if __name__ == "__main__":
    main()
