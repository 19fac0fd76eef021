"""How far a transaction sees: the rows of one platform, person or member, of areas, or all.

The scope is set for each transaction and held by the policies of the tables (row-level security).
Everything is a setting of its own, so that no platform's code can stand for it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scope:
    """What a transaction sees; an empty scope sees nothing of anybody.

    `platform` is a credit code, `person` a worker (`workers/{id}`), `member` a member of the staff
    register who sits on panels, `areas` are division codes of pooling areas. `caller` is the
    account whose stored responses the transaction may read.
    """

    platform: str = ""
    person: str = ""
    member: str = ""
    areas: frozenset[str] = frozenset()
    everything: bool = False
    caller: str = ""

    @property
    def settings(self) -> dict[str, str]:
        """The values of the settings of a transaction, by the name after `oip.`."""
        return {
            "platform": self.platform,
            "person": self.person,
            "member": self.member,
            "areas": ",".join(sorted(self.areas)),
            "everything": "on" if self.everything else "off",
            "caller": self.caller,
        }


EVERYTHING = Scope(everything=True)

# Conditions of policies. A setting that is missing or empty fits no row.
SEES_EVERYTHING = "current_setting('oip.everything', true) = 'on'"
PLATFORM = "nullif(current_setting('oip.platform', true), '')"
PERSON = "nullif(current_setting('oip.person', true), '')"
# The number in the name of the person.
NUMBER_OF_PERSON = f"nullif(split_part({PERSON}, '/', 2), '')::bigint"
MEMBER = "nullif(current_setting('oip.member', true), '')"
AREAS = "string_to_array(nullif(current_setting('oip.areas', true), ''), ',')"
CALLER = "nullif(current_setting('oip.caller', true), '')"
