"""The provisions that premiums applies, and the parameters with their numbers."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from services.kernel.law import DatedProvision, Provision, Tag
from services.kernel.lawbook import Law, load_law

R110 = "人社部发〔2021〕110号"
R24 = "人社部发〔2025〕24号"

# The service date chooses the text. Article 9 of the Measures of 2025 is known by report, and so is
# what the pilot of 2022 counted; bands followed work-injury insurance before article 9.
PREMIUM_BASE = DatedProvision(
    Provision(R110, "缴费基准额", Tag.COMMON), Provision(R24, "第九条", Tag.COMMON)
)
EXPERIENCE_BAND = DatedProvision(
    Provision("人社部发〔2015〕71号", "浮动档次", Tag.COMMON),
    Provision(R24, "第九条(浮动档次)", Tag.COMMON),
)
PREMIUM = DatedProvision(
    Provision(R110, "缴费基准额×订单量", Tag.COMMON),
    Provision(R24, "第九条(缴费基准额×订单量)", Tag.COMMON),
)
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
