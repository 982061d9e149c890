import stablenew_proto  # noqa: F401  before any module of ours imports grpc: see there
