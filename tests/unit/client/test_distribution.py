"""What the build of `oip-client` takes from the tree, and how it renames it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import client_distribution
from tools.client_distribution import (
    extras,
    modules,
    name_in_distribution,
    requirements,
    rewritten,
)


def test_the_distribution_has_the_client_and_nothing_of_the_server() -> None:
    names = list(modules())

    assert "services.client.upload.stream" in names
    assert "services.orderlog.manifest" in names
    assert "oip.orders.v1.orders_pb2_grpc" in names
    ours = ("services.client", "services.kernel", "services.orderlog", "services.runtime", "oip")
    assert all(name.startswith(ours) for name in names)
    assert not any(name.startswith("services.runtime.service") for name in names)


def test_an_import_of_the_server_ends_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_distribution, "ALLOWED", ("services.client", "services.kernel"))

    with pytest.raises(SystemExit, match="is part of the server; oip-client cannot import it"):
        modules()


def test_imports_are_renamed_and_names_of_the_wire_stay() -> None:
    text = (
        "from oip.orders.v1 import orders_pb2\n"
        "from services.client.upload.batches import Batch\n"
        "    from services.runtime.rpc.client import Channels\n"
        "build(DESCRIPTOR, 'oip.orders.v1.orders_pb2', path='/oip.orders.v1.OrderService/Get')\n"
    )

    assert rewritten(text) == (
        "from oip_client.protos.orders.v1 import orders_pb2\n"
        "from oip_client.upload.batches import Batch\n"
        "    from oip_client.runtime.rpc.client import Channels\n"
        "build(DESCRIPTOR, 'oip_client.protos.orders.v1.orders_pb2', "
        "path='/oip.orders.v1.OrderService/Get')\n"
    )
    assert name_in_distribution("services.client") == "oip_client"
    assert name_in_distribution("services.kernel.names") == "oip_client.kernel.names"
    assert name_in_distribution("oip.type.v1") == "oip_client.protos.type.v1"


def test_libraries_of_formats_are_extras() -> None:
    assert extras() == {
        "json": ["ijson"],
        "xlsx": ["openpyxl"],
        "polygons": ["shapely"],
        "all": ["ijson", "openpyxl", "shapely"],
    }
    assert not set(requirements(iter(modules().values()))) & {"ijson", "openpyxl", "shapely"}


def test_the_requirements_are_those_of_the_imports(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("import json\nimport grpc\nfrom google.type import date_pb2\n")

    assert requirements(iter([module])) == ["googleapis-common-protos", "grpcio"]
    module.write_text("import openpyxl, ijson, shapely\n")
    assert requirements(iter([module])) == []
    module.write_text("import sqlalchemy\n")
    with pytest.raises(SystemExit, match="sqlalchemy belongs to no distribution"):
        requirements(iter([module]))
