"""The ports of a whole system, looked at together before anything starts."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

from services.runtime.base.refusals import StartRefusedError
from services.runtime.base.settings import Settings


class PortsTakenError(StartRefusedError):
    """Other processes listen on ports of the system."""

    def __init__(self, taken: Iterable[int]) -> None:
        ports = ", ".join(map(str, taken))
        super().__init__(
            f"Other processes listen on these ports of the system: {ports}; stop them, or set "
            "OIP_PORT_BASE to another first port, such as 23001."
        )


def require_free_ports(settings: Settings, addresses: Iterable[str]) -> None:
    """Raise PortsTakenError with every port of these addresses that is taken, probes included."""
    taken = []
    for address in addresses:
        host, _, port = address.rpartition(":")
        ports = {int(port), settings.health_port_of(int(port))} - {0}
        taken += [each for each in sorted(ports) if _is_taken(settings.listen_host or host, each)]
    if taken:
        raise PortsTakenError(taken)


def _is_taken(host: str, port: int) -> bool:
    """Whether another process listens there; any other fault is found when the service starts."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except OSError:
        return False
    for family, kind, protocol, _, place in found:
        with socket.socket(family, kind, protocol) as probe:
            # Connections that have just ended do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(place)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    return True
    return False
