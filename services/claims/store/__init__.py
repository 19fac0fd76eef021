"""What claims keep: tables, and one function per question or change."""

from services.claims.store.claims import (
    accidents_of,
    claim_of_accident,
    claim_with_text,
    get_claim,
    insert_claim,
    insert_report,
    list_claims,
    lock_claim,
    report_of,
    update_claim,
)
from services.claims.store.determinations import (
    count_broken,
    determinations_of,
    insert_determination,
    insert_revocation,
    insert_service,
    insert_stay,
    latest_determinations,
)
from services.claims.store.evidence import (
    count_documents,
    insert_document,
    insert_orders,
    list_documents,
    orders_of,
)
from services.claims.store.tables import metadata

__all__ = [
    "accidents_of",
    "claim_of_accident",
    "claim_with_text",
    "count_broken",
    "count_documents",
    "determinations_of",
    "get_claim",
    "insert_claim",
    "insert_determination",
    "insert_document",
    "insert_orders",
    "insert_report",
    "insert_revocation",
    "insert_service",
    "insert_stay",
    "latest_determinations",
    "list_claims",
    "list_documents",
    "lock_claim",
    "metadata",
    "orders_of",
    "report_of",
    "update_claim",
]
