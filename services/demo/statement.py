"""The statement that the month prints at its end, with names that `oip` takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer
from oip.benefits.v1 import benefits_pb2
from oip.type.v1 import type_pb2

from services.cli.tables import Row, show_rows
from services.cli.values import NOTHING, Value, count_value, fen_value, text_value
from services.cli.view import language
from services.kernel.phrases import label

_PREMIUM = ("month", "platform", "pooling_area", "industry", "order_count", "premium_fen")
_CLAIM = ("claim", "accident_time", "outcome", "orders", "grade", "care_dependence")
_AWARD = ("award", "claim", "kind", "amount_fen", "first_month")
_ACT = ("act", "maker", "signer", "count")
_AMOUNTS = ("income_fen", "spending_fen", "equalisation_fen", "closing_fen")


def print_statement(figures: dict[str, Any]) -> None:
    """Print the figures of the month as tables."""
    _show("Orders", _orders(figures["orders"]), ("outcome", "rows"))
    lines = figures["premium_lines"]
    sums: Row = {
        "month": text_value("all"),
        "order_count": count_value(sum(line["order_count"] for line in lines)),
        "premium_fen": fen_value(sum(line["premium_fen"] for line in lines)),
    }
    _show("Premiums assessed", map(_premium, lines), _PREMIUM, sums)
    _show("Claims", _claims(figures), _CLAIM)
    _show("Awards", map(_award, figures["awards"]), _AWARD)
    _show("Acts of two persons", map(_signed, figures["signatures"]), _ACT)
    _show_settlement(figures["settlement"])
    payments, ledger = figures["payments"], figures["ledger"]
    typer.echo(
        f"{payments['count']} payments of {fen_value(payments['sum_fen']).text} yuan instructed; "
        f"{ledger['transactions']} ledger transactions with {ledger['postings']} postings "
        f"sum to {ledger['sum_fen']} fen."
    )
    assumed = figures["assumed_values"]
    typer.echo(
        f"They used {assumed['count']} assumed values of the law, of which {assumed['province']} "
        f"has confirmed {assumed['confirmed_count']}: oip law unconfirmed."
    )


def _show(heading: str, rows: Any, columns: Sequence[str], sums: Row | None = None) -> None:
    show_rows(rows, columns, heading=heading, totals=[sums] if sums else [])
    typer.echo()


def _orders(orders: dict[str, Any]) -> list[Row]:
    counts = {name: orders[name] for name in ("received", "created", "exists", "conflict")}
    counts |= {f"rejected: {reason}": count for reason, count in orders["rejected"].items()}
    return [
        {"outcome": text_value(name), "rows": count_value(count)} for name, count in counts.items()
    ]


def _premium(line: dict[str, Any]) -> Row:
    return {
        "month": text_value(line["month"]),
        "platform": text_value(line["platform"]),
        "pooling_area": text_value(line["pooling_area"]),
        "industry": _enum(type_pb2.Industry, line["industry"]),
        "order_count": count_value(line["order_count"]),
        "premium_fen": fen_value(line["premium_fen"]),
    }


def _claims(figures: dict[str, Any]) -> list[Row]:
    appraisal_of = {appraisal["claim"]: appraisal for appraisal in figures["appraisals"]}
    rows: list[Row] = []
    for claim in figures["claims"]:
        appraisal = appraisal_of.get(claim["name"])
        rows.append(
            {
                "claim": text_value(claim["name"]),
                "accident_time": text_value(claim["accident_time"]),
                "outcome": text_value(claim["outcome"].lower()),
                "orders": count_value(len(claim["order_nos"])),
                "grade": text_value(appraisal["grade"]) if appraisal else NOTHING,
                "care_dependence": (
                    text_value(appraisal["care_dependence"].lower()) if appraisal else NOTHING
                ),
            }
        )
    return rows


def _award(award: dict[str, Any]) -> Row:
    return {
        "award": text_value(award["name"]),
        "claim": text_value(award["claim"]),
        "kind": _enum(benefits_pb2.BenefitKind, award["kind"]),
        "amount_fen": fen_value(award["amount_fen"]),
        "first_month": text_value(award["first_month"]),
    }


def _signed(act: dict[str, Any]) -> Row:
    names = {name: text_value(act[name]) for name in ("act", "maker", "signer")}
    return {**names, "count": count_value(act["count"])}


def _show_settlement(settlement: dict[str, Any]) -> None:
    pools = settlement["pools"]
    rows = [
        {"pooling_area": text_value(pool["pooling_area"]), **_amounts([pool])} for pool in pools
    ]
    sums = {"pooling_area": text_value("province"), **_amounts(pools)}
    heading = f"Settlement of {settlement['month']}, in yuan"
    _show(heading, rows, ("pooling_area", *_AMOUNTS), sums)


def _amounts(pools: list[dict[str, Any]]) -> dict[str, Value]:
    return {name: fen_value(sum(pool[name] for pool in pools)) for name in _AMOUNTS}


def _enum(enum: Any, name: str) -> Value:
    return text_value(label(enum.DESCRIPTOR.full_name, name).text(language()))
