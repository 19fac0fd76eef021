"""oip: occupational injury protection for platform workers (新就业形态人员职业伤害保障)."""

import os

# By default gRPC passes each message through four further threads. Without these, a call switches
# threads half as often. gRPC reads this setting only when it is imported.
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_client,-event_engine_listener")
