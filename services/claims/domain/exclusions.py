"""What excludes a claim: crime, intoxication, self-harm, a labour relationship.

Each exclusion needs a document of a certain kind in evidence. Without it, or where the document
leaves the question open, a person has to decide.
"""

from __future__ import annotations

from services.claims.domain import law as provisions
from services.claims.domain.case import Answer, Case, Exclusion, Weight, answer
from services.claims.domain.evidence import DocumentKind
from services.kernel.law import Outcome, Provision, facts

CRIME_PROOF = (DocumentKind.JUDGMENT,)
SELF_HARM_PROOF = (DocumentKind.JUDGMENT, DocumentKind.DEATH_CERTIFICATE)


def exclusion_answers(case: Case) -> tuple[Answer, ...]:
    """One answer for each exclusion; `MET` means that it applies and the claim is refused."""
    answers = (
        _proved_exclusion(
            case,
            Exclusion.INTENTIONAL_CRIME,
            provisions.INTENTIONAL_CRIME,
            CRIME_PROOF,
            ("intentional crime", "故意犯罪"),
        ),
        _intoxication(case),
        _proved_exclusion(
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


def _proved_exclusion(
    case: Case,
    exclusion: Exclusion,
    provision: Provision,
    proofs: tuple[DocumentKind, ...],
    noun: tuple[str, str],
) -> Answer:
    is_established = exclusion in case.enquiry.exclusions
    proof = next((kind.name for kind in proofs if case.has(kind)), "none")
    question = exclusion.name.lower()
    inputs = facts(found_by_enquiry=is_established, proof=proof)
    if not is_established:
        outcome = Outcome.NOT_MET
        text = (f"Nothing points to {noun[0]}.", f"未发现{noun[1]}的情形。")
    elif proof != "none":
        outcome = Outcome.MET
        text = (
            f"The enquiry found {noun[0]}, and a document in evidence proves it.",
            f"经调查存在{noun[1]}的情形, 并有证据材料证实。",
        )
    else:
        outcome = Outcome.UNCLEAR
        kinds = " or ".join(kind.name for kind in proofs)
        text = (
            f"The enquiry found {noun[0]}, but no proof ({kinds}) is in evidence.",
            f"经调查存在{noun[1]}的情形, 但证据中没有相应的证明材料。",
        )
    return answer(question, provision, outcome, text, weight=Weight.BAR, inputs=inputs)


def _intoxication(case: Case) -> Answer:
    """Drunkenness by the blood alcohol limit, or drugs, on a report of police or hospital."""
    claim, enquiry = case.claim, case.enquiry
    limit = case.law.on("drunk_blood_alcohol", claim.accident_day, claim.place_of_injury)
    is_established = Exclusion.INTOXICATION in enquiry.exclusions
    report = case.has(DocumentKind.INTOXICATION_REPORT)
    measured = enquiry.blood_alcohol
    drunk = measured >= limit.decimal
    level = f"{measured} mg/100 ml against a limit of {limit.value}"
    level_zh = f"{measured} mg/100 ml, 标准为 {limit.value}"
    if not drunk and not is_established:
        outcome = Outcome.NOT_MET
        text = (
            f"No drunkenness or drugs were found (blood alcohol {level}).",
            f"未发现醉酒或者吸毒(血液酒精含量 {level_zh})。",
        )
    elif not report:
        outcome = Outcome.UNCLEAR
        text = (
            (
                f"Intoxication is named (blood alcohol {level}), but no INTOXICATION_REPORT is in "
                "evidence."
            ),
            f"认为存在醉酒或者吸毒(血液酒精含量 {level_zh}), 但证据中没有检测报告。",
        )
    elif drunk:
        outcome = Outcome.MET
        text = (
            f"The worker was drunk: blood alcohol {level}.",
            f"劳动者醉酒: 血液酒精含量 {level_zh}。",
        )
    elif measured == 0:
        outcome = Outcome.MET
        text = (
            "The enquiry found intoxication, and a report in evidence proves it.",
            "经调查存在醉酒或者吸毒的情形, 并有检测报告证实。",
        )
    else:
        outcome = Outcome.UNCLEAR
        text = (
            (
                f"Blood alcohol is below the limit ({level}); whether drugs were proved is for a "
                "person to decide."
            ),
            f"血液酒精含量低于标准({level_zh}); 是否吸毒须由人工判断。",
        )
    return answer(
        "intoxication",
        provisions.INTOXICATION,
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
        provisions.LABOUR_RELATIONSHIP,
        Outcome.MET if proved else Outcome.UNCLEAR,
        text,
        weight=Weight.BAR,
        inputs=facts(found_by_enquiry=True, judgment=proved),
    )
