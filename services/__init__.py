"""oip: occupational injury protection for platform workers (新就业形态人员职业伤害保障)."""

import os

# gRPC passes each message through four threads of its own beside the one that waits for it. Without
# them a call crosses threads half as often. It reads this when it is imported, and never again.
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_client,-event_engine_listener")
