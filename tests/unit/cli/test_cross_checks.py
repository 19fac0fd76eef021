"""The figures that two services must hold alike."""

from __future__ import annotations

from services.cli.cross_checks import CROSS_CHECKS, difference

INSTRUCTED, CONFIRMED = CROSS_CHECKS[0], CROSS_CHECKS[2]


def test_equal_figures_hold() -> None:
    figures = {"paymentRuns/2025-07 440100": (3, "900")}

    check = difference(INSTRUCTED, figures, dict(figures))

    assert (check.holds, check.detail) == (True, "1 figures compared")


def test_a_sum_that_differs_is_named_with_both_sides() -> None:
    key = "paymentRuns/2025-07 440100"

    check = difference(INSTRUCTED, {key: (3, "900")}, {key: (6, "1800")})

    assert (check.holds, check.detail) == (False, f"{key}: benefits 3 (900), fund 6 (1800)")


def test_what_only_one_side_holds_is_a_difference() -> None:
    check = difference(CONFIRMED, {}, {"2025-07": (1, "77")})

    assert (check.holds, check.detail) == (False, "2025-07: claims none, benefits 1 (77)")


def test_many_differences_are_counted() -> None:
    check = difference(INSTRUCTED, {f"run {n}": (1, "1") for n in range(8)}, {})

    assert check.detail.endswith("; and 3 more")
