"""For every act of the table, how it is made, and what changes a resource that it has read.

The test compares the cases with the table and with the methods of the protos, so that no act is
left out. Each case makes records of its own, by the number that it is given.
"""

from __future__ import annotations

from tests.integration.people import (
    claim_acts,
    grading_acts,
    law_acts,
    money_acts,
    register_acts,
)
from tests.integration.people.made import ActCase

CASES = (
    ActCase("expense-grant", "GrantExpense", money_acts.grant_expense),
    ActCase("expense-reversal", "ReverseExpense", money_acts.reverse_expense),
    ActCase("life-event", "RecordLifeEvent", money_acts.record_life_event),
    ActCase("payment-run", "InstructPayments", money_acts.instruct_payments),
    ActCase("award-true-up", "TrueUpAwards", money_acts.true_up),
    ActCase("award-indexation", "IndexAwards", money_acts.index),
    ActCase("premium-receipt", "RecordPremiumReceipt", money_acts.receipt),
    ActCase("receipt-reversal", "ReversePremiumReceipt", money_acts.reverse_receipt),
    ActCase("premium-term", "AssignExperienceBand", money_acts.assign_band),
    ActCase("premium-term", "AssignPremiumBase", money_acts.assign_base),
    ActCase("band-refix", "RefixBands", money_acts.refix_bands),
    ActCase("disbursement", "RecordDisbursement", money_acts.disburse),
    ActCase("disbursement-reversal", "ReverseDisbursement", money_acts.reverse_disbursement),
    ActCase("claim-refusal", "DetermineClaim", claim_acts.refusal),
    ActCase("claim-death", "DetermineClaim", claim_acts.with_death),
    ActCase("claim-disability", "DetermineClaim", claim_acts.with_disability),
    ActCase("determination-revocation", "RevokeDetermination", claim_acts.revoke),
    ActCase("death", "RecordDeath", claim_acts.death),
    ActCase("filing-distinct", "AnswerFiling", claim_acts.distinct),
    ActCase("claims-merger", "MergeClaims", claim_acts.merge),
    ActCase("specialist", "RegisterSpecialist", grading_acts.register_specialist),
    ActCase("specialist", "RenewSpecialist", grading_acts.renew_specialist),
    ActCase("panel-exclusion", "ExcludeSpecialist", grading_acts.exclude),
    ActCase("service-correction", "ServeConclusion", grading_acts.correct_service),
    ActCase("appraisal-resumption", "ResumeAppraisal", grading_acts.resume),
    ActCase("conclusion-correction", "CorrectConclusion", grading_acts.correct),
    ActCase("conclusion-revocation", "RevokeConclusion", grading_acts.revoke),
    ActCase("staff-role", "GrantRole", register_acts.grant_role),
    ActCase("staff-role", "RevokeRole", register_acts.revoke_role),
    ActCase("staff-account", "LinkAccount", register_acts.link_account),
    ActCase("erasure", "EraseWorker", register_acts.erase_worker),
    ActCase("dead-letter-dismissal", "DismissDeadLetter", register_acts.dismiss),
    ActCase("event-alarm", "ResolveEventAlarm", register_acts.resolve_alarm),
    ActCase("lost-events", "ResolveLostEvents", register_acts.resolve_lost),
    ActCase("parameter-confirmation", "ConfirmParameters", law_acts.confirm),
    ActCase("parameter-revocation", "RevokeParameterConfirmation", law_acts.revoke),
)
