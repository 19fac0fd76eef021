"""Enumerations and facts of the scheme that several services share, numbered as in the protos."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import Enum


class Industry(Enum):
    """The industries of the scheme (行业)."""

    RIDE_HAILING = 1
    INSTANT_DELIVERY = 2
    SAME_CITY_FREIGHT = 3

    @property
    def key(self) -> str:
        """The industry as parameter names have it: `instant_delivery`."""
        return self.name.lower()

    @property
    def zh(self) -> str:
        """行业."""
        return {1: "出行", 2: "即时配送", 3: "同城货运"}[self.value]


class CareDependence(Enum):
    """The degree to which a person depends on care (生活自理障碍); a higher number is worse."""

    NONE = 1
    PARTIAL = 2
    MAJOR = 3
    FULL = 4


class AppraisalLevel(Enum):
    """The levels of an appraisal (鉴定、再次鉴定、复查鉴定)."""

    FIRST = 1
    RE_APPRAISAL = 2
    REVIEW = 3


class Relation(Enum):
    """The relation of a survivor to the deceased."""

    SPOUSE = 1
    CHILD = 2
    PARENT = 3
    GRANDPARENT = 4
    GRANDCHILD = 5
    SIBLING = 6


class NearerKin(Enum):
    """The state of those who have to support a relative before the deceased.

    For a grandchild its parent, the child of the deceased; for a sibling or a grandparent the
    parents of the deceased.
    """

    ABLE = 1
    DEAD = 2
    UNABLE = 3


@dataclass(frozen=True)
class Survivor:
    """A relative whom the deceased may have supported (供养亲属)."""

    survivor_id: str
    relation: Relation
    birth_date: date | None
    male: bool = False
    totally_disabled: bool = False
    # A lonely old person (孤寡老人) or an orphan (孤儿).
    alone: bool = False
    # Whether the deceased was the main support; None while nobody has said so.
    supported: bool | None = None
    # SHA-256 of the document that shows the support; empty without one.
    support_document: bytes = b""
    nearer_kin: NearerKin | None = None
