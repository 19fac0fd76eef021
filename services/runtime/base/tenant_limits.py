"""What each tenant may have under way in one process of a service: settings with defaults.

Each is set alone, for example OIP_LIMITS__PLATFORM__STREAMS=16. A tenant is a platform company, a
worker for whom an agent calls, a person of staff, or another service.
"""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

GIB = 1 << 30


class TenantLimits(BaseModel):
    """Of one tenant of a class."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Calls whose requests are a stream, at a time.
    streams: int = Field(ge=1)
    # Other calls at a time.
    calls: int = Field(ge=1)
    # New calls, on average over the burst; 0 for any number.
    calls_per_second: int = Field(ge=0)


class Limits(BaseModel):
    """Of all classes of callers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # A platform sends orders on a few streams, and thousands of workers in one call. Other calls
    # of it take at most half of the connections to the database (pool_size): others find one.
    platform: TenantLimits = TenantLimits(streams=8, calls=4, calls_per_second=50)
    agent: TenantLimits = TenantLimits(streams=2, calls=4, calls_per_second=5)
    # People, and the programs that act for them: bounded by what they have under way.
    staff: TenantLimits = TenantLimits(streams=8, calls=32, calls_per_second=0)
    service: TenantLimits = TenantLimits(streams=32, calls=128, calls_per_second=0)

    # All calls at a time, and how many of these only staff and services may take.
    calls: int = Field(default=256, ge=1)
    reserved_calls: int = Field(default=64, ge=0)

    # What a platform may send to the orders service in a minute: about what a machine takes in.
    # A batch may have one row, and costs as much as another call.
    batches_per_minute: int = Field(default=3_000, ge=1)
    rows_per_minute: int = Field(default=10_000_000, ge=1)
    bytes_per_minute: int = Field(default=4 * GIB, ge=1)

    # Batches in memory, up to 4 MB each as received and 8 MB as written: of a platform, and of all.
    platform_batches: int = Field(default=6, ge=1)
    batches: int = Field(default=16, ge=1)

    # How long a caller has for its first message, and how long a stream may be silent.
    first_message_seconds: float = Field(default=10.0, gt=0)
    idle_seconds: float = Field(default=120.0, gt=0)

    # Calls above a limit of a caller that does not wait: how many are held before they are refused,
    # and how long at most.
    held_calls: int = Field(default=1024, ge=0)
    hold_seconds: float = Field(default=10.0, ge=0)

    @model_validator(mode="after")
    def _leave_some_to_all(self) -> Self:
        if self.reserved_calls >= self.calls:
            message = "RESERVED_CALLS must be smaller than CALLS: the others need some too"
            raise ValueError(message)
        return self
