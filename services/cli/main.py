"""The program `oip`: its commands and the options before them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli import (
    acts,
    alarms,
    appraisals,
    archive,
    assumed,
    awards,
    claims,
    conclusions,
    dead_letters,
    disbursements,
    erasures,
    evidence,
    expenses,
    heads,
    items,
    keys,
    law,
    lives,
    order_files,
    orders,
    receipts,
    restore,
    settlement,
    specialists,
    staff,
    totals,
)
from services.cli.connection import Connection, ErrorReportingGroup
from services.cli.delivery import delivery
from services.cli.health import health
from services.cli.statement import statement
from services.cli.tls import Tls
from services.cli.token import token
from services.cli.verify import verify
from services.runtime.base import log
from services.runtime.base.settings import Settings

app = typer.Typer(
    cls=ErrorReportingGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Occupational injury protection for platform workers (新就业形态人员职业伤害保障).",
)
app.command()(token)
app.command()(verify)
app.command()(delivery)
app.command()(health)
app.command()(statement)
evidence.app.command("prove")(archive.prove)
evidence.app.command("checkpoints")(heads.checkpoints)
evidence.app.command("consistency")(heads.consistency)
evidence.app.command("key")(heads.key)
orders.app.command("archive")(archive.archive)
orders.app.command("check")(order_files.check)
orders.app.command("declare")(totals.declare)
orders.app.command("mapping")(order_files.mapping)
orders.app.command("verify-archive")(archive.verify_archive)
appraisals.app.command("show")(conclusions.show)
appraisals.app.command("opinion")(conclusions.opinion)
appraisals.app.command("recuse")(conclusions.recuse)
appraisals.app.command("conclude")(conclusions.conclude)
appraisals.app.command("serve")(conclusions.serve)
appraisals.app.command("correct")(conclusions.correct)
appraisals.app.command("revoke")(conclusions.revoke)
law.app.command("unconfirmed")(assumed.unconfirmed)
law.app.command("confirm")(assumed.confirm)
law.app.command("confirmations")(assumed.confirmations)
law.app.command("revoke")(assumed.revoke)
app.add_typer(acts.app, name="acts")
app.add_typer(alarms.app, name="alarms")
app.add_typer(appraisals.app, name="appraisals")
app.add_typer(awards.app, name="awards")
app.add_typer(restore.app, name="restore")
app.add_typer(claims.app, name="claims")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(disbursements.app, name="disbursements")
app.add_typer(erasures.app, name="erasures")
app.add_typer(evidence.app, name="evidence")
app.add_typer(expenses.app, name="expenses")
app.add_typer(items.app, name="items")
app.add_typer(keys.app, name="keys")
app.add_typer(law.app, name="law")
app.add_typer(lives.app, name="lives")
app.add_typer(orders.app, name="orders")
app.add_typer(receipts.app, name="receipts")
app.add_typer(settlement.app, name="settlement")
app.add_typer(specialists.app, name="specialists")
app.add_typer(staff.app, name="staff")


@app.callback()
def main(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    state_dir: Annotated[
        Path | None,
        typer.Option(help="Folder of the development stack; default: OIP_STATE_DIR or .local."),
    ] = None,
    token: Annotated[
        str,
        typer.Option(
            envvar="OIP_TOKEN", help="Token to call with; default: one of the development stack."
        ),
    ] = "",
    tls_authority: Annotated[
        Path | None,
        typer.Option(
            envvar=["OIP_TLS_AUTHORITY_FILE", "OIP_TLS_CLIENT_AUTHORITY_FILE"],
            help="PEM file of the authority that issued the services' certificates.",
        ),
    ] = None,
    tls_certificate: Annotated[
        Path | None,
        typer.Option(
            envvar="OIP_TLS_CERTIFICATE_FILE",
            help="PEM file of the client certificate (mutual TLS); needs --tls-key.",
        ),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option(
            envvar="OIP_TLS_KEY_FILE", help="PEM file of the certificate's key, without a password."
        ),
    ] = None,
) -> None:
    """Call a stack of the scheme. Without TLS files calls are not encrypted."""
    settings = Settings() if state_dir is None else Settings(state_dir=state_dir)
    context.obj = Connection(settings, token, Tls(tls_authority, tls_certificate, tls_key))


def run() -> None:
    """The program `oip`."""
    log.configure(quiet=True)
    app()


if __name__ == "__main__":
    run()
