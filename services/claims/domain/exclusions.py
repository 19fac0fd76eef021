"""What excludes a claim: crime, intoxication, self-harm, a labour relationship.

Crime, intoxication and self-harm exclude a claim only if they caused the harm (导致). Whether they
did is for a person to decide; a measured value or a document is a fact for that decision.
"""

from __future__ import annotations

from services.claims.domain import law as provisions
from services.claims.domain.case import Answer, Case, Exclusion, Weight, answer
from services.claims.domain.evidence import DocumentKind
from services.kernel.law import DatedProvision, Outcome, facts

CRIME_PROOF = (DocumentKind.JUDGMENT,)
SELF_HARM_PROOF = (DocumentKind.JUDGMENT, DocumentKind.DEATH_CERTIFICATE)


def exclusion_answers(case: Case) -> tuple[Answer, ...]:
    """One answer for each exclusion; `MET` means that it applies and the claim is refused."""
    answers = (
        _exclusion(
            case,
            Exclusion.INTENTIONAL_CRIME,
            provisions.INTENTIONAL_CRIME,
            CRIME_PROOF,
            ("intentional crime", "故意犯罪"),
        ),
        _intoxication(case),
        _exclusion(
            case,
            Exclusion.SELF_HARM,
            provisions.SELF_HARM,
            SELF_HARM_PROOF,
            ("self-harm or suicide", "自残或者自杀"),
        ),
    )
    if not case.enquiry.labour_relationship:
        return answers
    return (*answers, _labour_relationship(case))


def _exclusion(
    case: Case,
    exclusion: Exclusion,
    provision: DatedProvision,
    proofs: tuple[DocumentKind, ...],
    noun: tuple[str, str],
) -> Answer:
    is_established = exclusion in case.enquiry.exclusions
    proof = next((kind.name for kind in proofs if case.has(kind)), "none")
    outcome = Outcome.UNCLEAR if is_established else Outcome.NOT_MET
    text = (f"Nothing points to {noun[0]}.", f"未发现{noun[1]}的情形。")
    if is_established:
        proved = "a document in evidence" if proof != "none" else "no document in evidence"
        proved_zh = "有" if proof != "none" else "没有"
        text = (
            (
                f"The enquiry found {noun[0]}, with {proved} on it; whether it caused the harm is "
                "for a person to decide."
            ),
            f"经调查存在{noun[1]}的情形, {proved_zh}相应证据材料; 伤害是否由其导致须由人工判断。",
        )
    return answer(
        exclusion.name.lower(),
        provision.on(case.claim.accident_day),
        outcome,
        text,
        weight=Weight.BAR,
        inputs=facts(found_by_enquiry=is_established, proof=proof),
    )


def _intoxication(case: Case) -> Answer:
    """Drunkenness by the blood alcohol limit, or drugs: a bar only if they caused the harm."""
    claim, enquiry = case.claim, case.enquiry
    limit = case.law.on("drunk_blood_alcohol", claim.accident_day, claim.place_of_injury)
    is_established = Exclusion.INTOXICATION in enquiry.exclusions
    report = case.has(DocumentKind.INTOXICATION_REPORT)
    measured = enquiry.blood_alcohol
    level = f"{measured} mg/100 ml against a limit of {limit.value}"
    level_zh = f"{measured} mg/100 ml, 标准为 {limit.value}"
    if measured < limit.decimal and not is_established:
        outcome = Outcome.NOT_MET
        text = (
            f"No drunkenness or drugs were found (blood alcohol {level}).",
            f"未发现醉酒或者吸毒(血液酒精含量 {level_zh})。",
        )
    else:
        outcome = Outcome.UNCLEAR
        in_evidence = "a report" if report else "no report"
        in_evidence_zh = "有" if report else "没有"
        text = (
            (
                f"Drunkenness or drugs are named (blood alcohol {level}), with {in_evidence} in "
                "evidence; whether they caused the harm is for a person to decide."
            ),
            (
                f"认为存在醉酒或者吸毒(血液酒精含量 {level_zh}), {in_evidence_zh}检测报告; "
                "伤害是否由其导致须由人工判断。"
            ),
        )
    return answer(
        "intoxication",
        provisions.INTOXICATION.on(claim.accident_day),
        outcome,
        text,
        weight=Weight.BAR,
        inputs=facts(
            found_by_enquiry=is_established,
            blood_alcohol_mg_per_100ml=measured,
            intoxication_report=report,
        ),
        versions=(limit.version,),
    )


def _labour_relationship(case: Case) -> Answer:
    """A worker in a labour relationship belongs to work-injury insurance (工伤保险)."""
    proved = case.has(DocumentKind.JUDGMENT)
    text = (
        "The worker is in a labour relationship, so work-injury insurance applies instead.",
        "劳动者与单位存在劳动关系, 应按工伤保险处理。",
    )
    if not proved:
        text = (
            "A labour relationship is named, but no judgment or award is in evidence.",
            "认为存在劳动关系, 但证据中没有生效裁判文书。",
        )
    return answer(
        "labour_relationship",
        provisions.LABOUR_RELATIONSHIP.on(case.claim.accident_day),
        Outcome.MET if proved else Outcome.UNCLEAR,
        text,
        weight=Weight.BAR,
        inputs=facts(found_by_enquiry=True, judgment=proved),
    )
