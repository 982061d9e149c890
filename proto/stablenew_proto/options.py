"""Channel and server options, in one place, each with its reason. A test black-holes a real socket."""

from __future__ import annotations

CHUNK_BYTES = 256 * 1024
"""Size of a piece of a file on the wire: the best, or within noise of it, in every path measured."""

PROTOCOL_MINOR = 0
"""Grows when a field is added that a peer may rely on; the major is in the package name (``v1``)."""

STAGE_RESULTS = "stage_results"
"""Feature of a kernel: it takes facts about stages, and keeps their images."""

LARGEST_PACK = 32 * 2**20
"""Bytes of a pack with its sidecar that one run may have: 100,000 rows are about 10 MB."""

MAX_REQUEST_BYTES = 2 * LARGEST_PACK + 2**20
"""Largest message that a server takes: a pack and a preset; 10,000 jobs to be made again have 20 to 30 MB."""

SUMMARY_KEY = "plan-summary-bin"
"""Trailing metadata of a refused SubmitRun or Replay: the PlanSummary, with the question that needs a yes."""

LIVENESS = (
    ("grpc.keepalive_time_ms", 10_000),  # ask after 10 s of silence whether the other side is there
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),  # without it a black-holed peer took 70 s to notice, with it 15 s
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),  # no limit: a node may have nothing to say for hours
)

# A run carries its pack and its preset whole; gRPC's own limit of 4 MiB is less than packs that people have.
MESSAGES = (("grpc.max_receive_message_length", MAX_REQUEST_BYTES),)

CHANNEL_OPTIONS = (
    *LIVENESS,
    *MESSAGES,
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 10_000),  # the default of 120 s makes recovery after an outage slow
    ("grpc.use_local_subchannel_pool", 1),  # bulk bytes and control get a connection each
)

SERVER_OPTIONS = (
    *LIVENESS,
    *MESSAGES,
    # Strictly below the client's interval, or jitter earns GOAWAY "too_many_pings"; the default is 5 minutes.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    # And on a loaded machine pings that were sent in time arrive in bunches, which is nobody's fault.
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.so_reuseport", 0),  # otherwise a second kernel silently shares the port
)
