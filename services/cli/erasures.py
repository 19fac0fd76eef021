"""`oip erasures`: the erasure of the personal data of workers."""

from __future__ import annotations

import typer

from services.cli.apis import ENROLMENT
from services.cli.steps import Change, add_step

app = typer.Typer(no_args_is_help=True, help="Erase the personal data of workers (个人信息删除).")
add_step(
    app,
    "record",
    ENROLMENT,
    "EraseWorker",
    Change(
        ("name",),
        {"code": "ground", "document_number": "number"},
        text=(
            "Destroy the data keys of a worker in every service. It is final; another person signs "
            "it. It is refused while a case is open or money is still to flow."
        ),
    ),
)
