"""The program `oip`: its commands and the options before them."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from services.cli import (
    acts,
    archive,
    assumed,
    awards,
    benefits,
    claims,
    enrolment,
    erasures,
    events,
    evidence,
    grading,
    heads,
    keys,
    law,
    order_files,
    order_records,
    orders,
    premiums,
    resources,
    restore,
    settlement,
    staff,
    totals,
)
from services.cli.connection import Connection
from services.cli.delivery import delivery
from services.cli.error_report import ErrorReportingGroup
from services.cli.health import health
from services.cli.statement import statement
from services.cli.status import status
from services.cli.tls import Tls
from services.cli.token import token
from services.cli.verify import verify
from services.cli.view import Format, set_view
from services.kernel.phrases import Language
from services.runtime.base import log
from services.runtime.base.settings import Settings

app = typer.Typer(
    cls=ErrorReportingGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Occupational injury protection for platform workers (新就业形态人员职业伤害保障).",
)
app.command()(token)
app.command()(verify)
app.command()(delivery)
app.command()(health)
app.command()(statement)
app.command()(status)
evidence.app.command("prove")(archive.prove)
evidence.app.command("checkpoints")(heads.checkpoints)
evidence.app.command("consistency")(heads.consistency)
evidence.app.command("key")(heads.key)
orders.app.command("archive")(archive.archive)
orders.app.command("check")(order_files.check)
orders.app.command("declare")(totals.declare)
orders.app.command("mapping")(order_files.mapping)
orders.app.command("verify-archive")(archive.verify_archive)
benefits.awards.command("provisional")(awards.provisional)
benefits.awards.command("true-up")(awards.true_up)
benefits.awards.command("trued-up")(awards.trued_up)
law.app.command("unconfirmed")(assumed.unconfirmed)
law.app.command("confirm")(assumed.confirm)
law.app.command("confirmations")(assumed.confirmations)
law.app.command("revoke")(assumed.revoke)
order_records.add_to_groups()
GROUPS = {
    "accident-reports": claims.reports,
    "acts": acts.app,
    "alarms": events.alarms,
    "appraisals": grading.app,
    "awards": benefits.awards,
    "bills": premiums.bills,
    "claims": claims.app,
    "dead-letters": events.dead_letters,
    "disbursements": benefits.disbursements,
    "erasures": erasures.app,
    "events": events.events,
    "evidence": evidence.app,
    "expenses": benefits.expenses,
    "filings": claims.filings,
    "items": grading.items_app,
    "keys": keys.app,
    "law": law.app,
    "lives": benefits.lives,
    "orders": orders.app,
    "payment-runs": benefits.payment_runs,
    "platforms": enrolment.platforms,
    "premiums": premiums.premiums,
    "receipts": premiums.receipts,
    "restore": restore.app,
    "settlement": settlement.app,
    "specialists": grading.specialists,
    "staff": staff.app,
    "terms": premiums.terms,
    "workers": enrolment.workers,
}
for name, group in GROUPS.items():
    app.add_typer(group, name=name)
resources.add_to(app, GROUPS)


def print_version(asked_for: bool) -> None:
    """Print the version and end."""
    if asked_for:
        typer.echo(f"oip {metadata.version('oip')}")
        raise typer.Exit


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
    token_file: Annotated[
        Path | None,
        typer.Option(help="File with the token, read for each call; instead of --token."),
    ] = None,
    form: Annotated[
        Format,
        typer.Option(
            "--format", envvar="OIP_FORMAT", help="Form of the result; may stand anywhere."
        ),
    ] = Format.TABLE,
    language: Annotated[
        Language | None,
        typer.Option(
            envvar="OIP_LANGUAGE",
            help="Language of refusals and words; default: that of the locale. May stand anywhere.",
        ),
    ] = None,
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
    _version: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Call a stack of the scheme. Without TLS files calls are not encrypted."""
    set_view(language, form)
    settings = Settings() if state_dir is None else Settings(state_dir=state_dir)
    context.obj = Connection(
        settings, token, Tls(tls_authority, tls_certificate, tls_key), token_file
    )


def run() -> None:
    """The program `oip`."""
    log.configure(quiet=True)
    app()


if __name__ == "__main__":
    run()
