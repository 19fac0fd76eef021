"""Invariants are named once: `oip verify` and its readers know a condition by its code."""

from __future__ import annotations

from collections import Counter

from services.__main__ import all_services
from services.runtime.service.common_invariants import COMMON_INVARIANTS


def test_an_invariant_has_a_code_that_no_other_has() -> None:
    declared = [invariant for service in all_services() for invariant in service.invariants]
    codes = Counter(invariant.code for invariant in (*COMMON_INVARIANTS, *declared))

    assert [code for code, count in codes.items() if count > 1] == []


def test_every_service_declares_what_must_hold_of_its_rows() -> None:
    assert [service.name for service in all_services() if not service.invariants] == []
