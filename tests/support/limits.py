"""Limits of callers for tests, which call faster than any tenant does."""

from __future__ import annotations

from services.runtime.base.tenant_limits import Limits, TenantLimits

ROOMY = Limits(
    platform=TenantLimits(streams=8, calls=128, calls_per_second=0),
    agent=TenantLimits(streams=2, calls=128, calls_per_second=0),
    staff=TenantLimits(streams=8, calls=128, calls_per_second=0),
)
