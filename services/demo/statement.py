"""The statement that the month prints at its end."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from services.kernel.money import Fen, total


def print_statement(console: Console, figures: dict[str, Any]) -> None:
    """Print the figures of the month as tables."""
    console.print(_orders(figures["orders"]))
    console.print(_premiums(figures["premium_lines"]))
    console.print(_claims(figures))
    console.print(_awards(figures["awards"]))
    console.print(_signatures(figures["signatures"]))
    console.print(_settlement(figures["settlement"]))
    payments, ledger = figures["payments"], figures["ledger"]
    console.print(
        f"{payments['count']} payments of {_yuan(payments['sum_fen'])} yuan instructed; "
        f"{ledger['transactions']} ledger transactions with {ledger['postings']} postings "
        f"sum to {ledger['sum_fen']} fen."
    )
    assumed = figures["assumed_values"]
    console.print(
        f"They used {assumed['count']} assumed values of the law, of which {assumed['province']} "
        f"has confirmed {assumed['confirmed_count']}: oip law unconfirmed.",
        soft_wrap=True,
    )


def _signatures(signatures: list[dict[str, Any]]) -> Table:
    table = Table("act", "made by", "signed by", "times", title="Acts of two persons")
    for row in signatures:
        table.add_row(row["act"], row["maker"], row["signer"], str(row["count"]))
    return table


def _orders(orders: dict[str, Any]) -> Table:
    table = Table("order records", "rows", title="Orders")
    table.columns[1].justify = "right"
    for name in ("received", "created", "exists", "conflict"):
        table.add_row(name, f"{orders[name]:,}")
    for reason, count in orders["rejected"].items():
        table.add_row(f"rejected: {reason}", f"{count:,}")
    return table


def _premiums(lines: list[dict[str, Any]]) -> Table:
    table = Table(
        "month", "platform", "pooling area", "industry", "orders", "yuan", title="Premiums assessed"
    )
    for column in table.columns[4:]:
        column.justify = "right"
    for line in lines:
        table.add_row(
            line["month"],
            line["platform"],
            line["pooling_area"],
            line["industry"].lower().replace("_", " "),
            f"{line['order_count']:,}",
            _yuan(line["premium_fen"]),
        )
    premium = total(Fen(line["premium_fen"]) for line in lines)
    count = sum(line["order_count"] for line in lines)
    table.add_row("", "", "", "all", f"{count:,}", premium.yuan, style="bold")
    return table


def _claims(figures: dict[str, Any]) -> Table:
    table = Table("claim", "accident (UTC)", "outcome", "orders", "grade", title="Claims")
    grades = {appraisal["claim"]: appraisal for appraisal in figures["appraisals"]}
    for claim in figures["claims"]:
        table.add_row(
            _short(claim["name"]),
            claim["accident_time"].removesuffix("+00:00").replace("T", " "),
            claim["outcome"].lower(),
            str(len(claim["order_nos"])),
            _grade(grades.get(claim["name"])),
        )
    return table


def _awards(awards: list[dict[str, Any]]) -> Table:
    table = Table("claim", "award", "yuan", "from", title="Awards")
    table.columns[2].justify = "right"
    for award in awards:
        kind = award["kind"].lower().replace("_", " ")
        yuan = _yuan(award["amount_fen"])
        table.add_row(_short(award["claim"]), kind, yuan, award["first_month"])
    return table


def _short(name: str) -> str:
    return name.rsplit("/", 1)[1]


def _grade(appraisal: dict[str, Any] | None) -> str:
    if appraisal is None:
        return ""
    care = appraisal["care_dependence"].lower()
    return f"{appraisal['grade']}" if care == "none" else f"{appraisal['grade']}, care {care}"


def _settlement(settlement: dict[str, Any]) -> Table:
    names = ("income_fen", "spending_fen", "equalisation_fen", "closing_fen")
    table = Table("pooling area", *(name.removesuffix("_fen") for name in names))
    table.title = f"Settlement of {settlement['month']}, in yuan"
    for column in table.columns[1:]:
        column.justify = "right"
    for pool in settlement["pools"]:
        table.add_row(pool["pooling_area"], *(_yuan(pool[name]) for name in names))
    sums = (sum(pool[name] for pool in settlement["pools"]) for name in names)
    table.add_row("province", *map(_yuan, sums), style="bold")
    return table


def _yuan(fen: int) -> str:
    return Fen(fen).yuan
