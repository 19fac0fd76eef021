"""The provisions that premiums applies, and the parameters with their numbers."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from services.kernel.law import Provision, Tag
from services.kernel.lawbook import Law, load_law

# Article 9 is known by report; the others are the texts of one province, which all follow here.
PREMIUM_BASE = Provision("人社部发〔2025〕24号", "第九条", Tag.COMMON)
EXPERIENCE_BAND = Provision("京人社工发〔2025〕8号", "浮动档次", Tag.COMMON)
PREMIUM = Provision("山东省试点说明 (2025-07-11)", "缴费基准额×订单量", Tag.COMMON)
RESERVE_MARKUP = Provision("ILO report", "chapter 5", Tag.SEED)
DUE_DATE = Provision("纳税申报期限惯例", "次月15日", Tag.ASSUMED)
RATE_FLOATING = Provision("人社部发〔2015〕71号", "浮动费率", Tag.COMMON)
UNDECLARED = Provision("社会保险法", "第六十二条", Tag.COMMON)
SURCHARGE = Provision("社会保险法", "第八十六条", Tag.COMMON)
ARREARS_FINE = Provision("社会保险法", "第八十六条 (罚款)", Tag.COMMON)
ENQUIRY_FINE = Provision("工伤保险条例", "第六十三条", Tag.COMMON)
COST_BEARER = Provision("工伤保险条例", "第六十二条", Tag.COMMON)
ADVANCE_PAYMENT = Provision("社会保险基金先行支付暂行办法", "催告与偿还期限", Tag.COMMON)
TRUE_UP = Provision("申报与订单核对", "多退少补", Tag.ASSUMED)
PREPAYMENT = Provision("预缴", "无历史或欠费平台", Tag.ASSUMED)

# The parameters of premiums, with every publication so far.
LAW = load_law(
    Path(__file__).parent.parent / "parameters", shared=("advance_payment_days", "scheme_start")
)


def law(where: str, known: date | None = None) -> Law:
    """The law of a province or a pooling area as published by a day; None counts all."""
    return LAW.at(where, known)
