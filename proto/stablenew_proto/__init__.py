"""The messages between the programs, and how gRPC is set up. Import this before ``grpc``."""

import os
import sys

# gRPC reads this once, when it is loaded. Its older poller hands a message to Python with a thread less than the
# "event engine" that replaced it: a call and its answer take 0.3 ms instead of 0.45, and the whole way of a job is
# a tenth shorter (measured with 1.85 on Linux). A version that does not know these names any more says so once
# and goes on.
if sys.platform == "linux":
    os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_client,-event_engine_listener")
