"""What makes a bill one bill: institution and number in any spelling, or its document."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.benefits.domain.kinds import BenefitKind
from services.benefits.domain.problems import BillNotIdentified
from services.kernel.identifiers import spelling_key
from services.kernel.problems import FieldMissing, Malformed


@dataclass(frozen=True)
class Bill:
    """A bill as the institution wrote it, and the SHA-256 of its document, if there is one."""

    institution: str = ""
    number: str = ""
    document_hash: bytes = b""

    @property
    def key(self) -> str | None:
        """What all spellings of the bill have in common; None for a bill without a number."""
        if not self.number:
            return None
        return f"{spelling_key(self.institution)}/{spelling_key(self.number)}"

    @property
    def title(self) -> str:
        """The bill in a sentence."""
        return f"{self.number} of {self.institution}" if self.number else self.document_hash.hex()


@dataclass(frozen=True)
class Reversal:
    """Why a reimbursement was reversed, by whom and when; the code is one of the protos."""

    code: int
    reason: str
    member: str
    create_time: datetime


def require_identified(bill: Bill, kind: BenefitKind) -> None:
    """Refuse a bill that could be granted twice unnoticed.

    A bill with a number needs its institution, one without a number needs its document. Hospital
    meals need neither: the days in hospital are granted once.
    """
    if bill.number:
        if not spelling_key(bill.number):
            raise Malformed.of(
                "bill_number",
                "NO_LETTERS_OR_DIGITS",
                "write the letters and digits of the original",
                "请照原件填写其中的字母和数字",
            )
        if not spelling_key(bill.institution):
            raise FieldMissing.of("institution")
    elif not bill.document_hash and kind is not BenefitKind.HOSPITAL_MEALS:
        raise BillNotIdentified(field="bill_number")
