"""Channel and server options, in one place, each with its reason. A test black-holes a real socket."""

from __future__ import annotations

CHUNK_BYTES = 256 * 1024
"""Size of a piece of a file on the wire: the best, or within noise of it, in every path measured."""

PROTOCOL_MINOR = 0
"""Grows when a field is added that a peer may rely on; the major is in the package name (``v1``)."""

MAX_REQUEST_BYTES = 64 * 2**20
"""Largest message that a server takes: 10,000 jobs to be made again have 20 to 30 MB."""

SUMMARY_KEY = "plan-summary-bin"
"""Trailing metadata of a refused SubmitRun or Replay: the PlanSummary, with the question that needs a yes."""

LIVENESS = (
    ("grpc.keepalive_time_ms", 10_000),  # ask after 10 s of silence whether the other side is there
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),  # without it a black-holed peer took 70 s to notice, with it 15 s
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),  # no limit: a node may have nothing to say for hours
)

CHANNEL_OPTIONS = (
    *LIVENESS,
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 10_000),  # the default of 120 s makes recovery after an outage slow
    ("grpc.use_local_subchannel_pool", 1),  # bulk bytes and control get a connection each
)

SERVER_OPTIONS = (
    *LIVENESS,
    # Strictly below the client's interval, or jitter earns GOAWAY "too_many_pings"; the default is 5 minutes.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),  # the default is 4 MB
    ("grpc.so_reuseport", 0),  # otherwise a second kernel silently shares the port
)
