"""Files of orders as platforms have them, and how they are read."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

from tests.support.platforms import PEARL, SWIFT

MAPPING = f"""
industry = "RIDE_HAILING"
province = "440000"
shift_days = 4564
within_km = 40.0
[platforms]
"A" = "{SWIFT}"
"B" = "{PEARL}"
[[centres]]
pooling_area = "440100"
lat = 40.7233
lng = -73.9985
[[centres]]
pooling_area = "440600"
lat = 40.7831
lng = -73.9712
"""


def orders_table(count: int = 6) -> pa.Table:
    start = datetime.fromisoformat("2013-01-02T03:00:00+00:00")
    moment = pa.timestamp("us", tz="UTC")
    return pa.table(
        {
            "platform_hint": ["AB"[n % 2] for n in range(count)],
            "order_no": [f"=t-{n}" if n == 0 else f"t-{n}" for n in range(count)],
            "worker_hint": [f"w{n % 3}" for n in range(count)],
            "accepted_at": pa.array([start] * count, moment),
            "completed_at": pa.array(
                [None if n == 1 else start.replace(hour=4) for n in range(count)], moment
            ),
            "pickup_lng": [0.0 if n == 0 else -73.99 for n in range(count)],
            "pickup_lat": [0.0 if n == 0 else 40.72 for n in range(count)],
        }
    )
