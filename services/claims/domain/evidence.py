"""Documents in evidence (证据材料), and those that are missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from services.claims.domain.claim import Claim, Situation
from services.kernel.lawbook import Law
from services.kernel.names import name


class DocumentKind(Enum):
    """Kinds of document; numbers as in the proto."""

    DIAGNOSIS = 1
    INVOICE = 2
    TRAFFIC_CERTIFICATE = 3
    INTOXICATION_REPORT = 4
    JUDGMENT = 5
    DEATH_CERTIFICATE = 6
    KINSHIP_PROOF = 7
    OTHER = 8
    VETERAN_CERTIFICATE = 9


@dataclass(frozen=True)
class Document:
    """A document in a claim; the file itself stays with the authority's archive."""

    id: str
    claim_id: str
    kind: DocumentKind
    # SHA-256, 32 bytes.
    content_hash: bytes
    create_time: datetime
    title: str = ""
    # The credit code of the platform that added it; empty if another party did.
    platform: str = ""

    @property
    def name(self) -> str:
        """`claims/{id}/evidence/{id}`."""
        return name("claims", self.claim_id, "evidence", self.id)


def missing_documents(
    claim: Claim, documents: Mapping[DocumentKind, int], law: Law
) -> tuple[DocumentKind, ...]:
    """Documents that a claim of this kind usually needs and that are not in evidence.

    A hint for those who check; whether a claim can go on without one is theirs to decide.
    """
    needed = law.table("needed_documents", claim.accident_day, claim.place_of_injury)
    kinds = needed["injury"] if claim.death_date is None else needed["death"]
    if claim.survivors:
        kinds = [*kinds, *needed["survivors"]]
    if claim.situation in (Situation.REQUIRED_TRAVEL, Situation.WAY_HOME):
        kinds = [*kinds, *needed["traffic"]]
    return tuple(DocumentKind[kind] for kind in kinds if not documents.get(DocumentKind[kind]))
