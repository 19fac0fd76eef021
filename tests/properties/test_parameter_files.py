"""Whatever stands in a parameter file, the check answers with sentences and never breaks."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.kernel.parameter_check import Places, check_content, check_file

PLACES = Places({"440000": frozenset({"440100"})})

leaves: st.SearchStrategy[Any] = st.one_of(
    st.text(max_size=12),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.dates(date(2000, 1, 1)),
    st.datetimes(datetime(2000, 1, 1)),  # noqa: DTZ001 - TOML has moments without a zone
)
values: st.SearchStrategy[Any] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=6), inner, max_size=3),
        st.fixed_dictionaries({"count": inner, "unit": inner}),
    ),
    max_leaves=8,
)
rows = st.fixed_dictionaries(
    {},
    optional={
        "since": values,
        "until": values,
        "in": values,
        "published": values,
        "value": values,
        "source": values,
        "tag": values,
        "other": values,
    },
)
units = st.one_of(
    st.sampled_from(["yuan", "share", "on or off", "a limit, and what it counts", "grade", "day"]),
    st.just("division codes"),
    values,
)
contents = st.fixed_dictionaries(
    {},
    optional={
        "title": values,
        "title_zh": values,
        "unit": units,
        "first_day": values,
        "values": st.one_of(values, st.lists(st.one_of(rows, values), max_size=3)),
    },
)


@given(contents)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_content_gets_an_answer(content: dict[str, Any]) -> None:
    for fault in check_content(content, "any.toml", PLACES):
        assert str(fault).startswith("any.toml")
        assert str(fault).endswith(".")


@given(st.binary(max_size=200))
def test_any_bytes_get_an_answer(raw: bytes) -> None:
    class Held(type(Path())):  # type: ignore[misc]
        """A path whose text is these bytes."""

        def read_text(self, encoding: str | None = None, *_: Any, **__: Any) -> str:
            return raw.decode(encoding or "utf-8")

    assert check_file(Held("any.toml"), PLACES)
