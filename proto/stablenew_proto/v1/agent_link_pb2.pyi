from stablenew_proto.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ConnectRequest(_message.Message):
    __slots__ = ("hello", "report", "facts", "progress", "goodbye")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    report: NodeReport
    facts: _containers.RepeatedCompositeFieldContainer[Fact]
    progress: _containers.RepeatedCompositeFieldContainer[JobProgress]
    goodbye: Goodbye
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., report: _Optional[_Union[NodeReport, _Mapping]] = ..., facts: _Optional[_Iterable[_Union[Fact, _Mapping]]] = ..., progress: _Optional[_Iterable[_Union[JobProgress, _Mapping]]] = ..., goodbye: _Optional[_Union[Goodbye, _Mapping]] = ...) -> None: ...

class ConnectResponse(_message.Message):
    __slots__ = ("welcome", "acked_fact_id", "offers", "cancels", "watch", "drain")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    ACKED_FACT_ID_FIELD_NUMBER: _ClassVar[int]
    OFFERS_FIELD_NUMBER: _ClassVar[int]
    CANCELS_FIELD_NUMBER: _ClassVar[int]
    WATCH_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    acked_fact_id: int
    offers: _containers.RepeatedCompositeFieldContainer[LeaseOffer]
    cancels: _containers.RepeatedCompositeFieldContainer[LeaseCancel]
    watch: Watch
    drain: Drain
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., acked_fact_id: _Optional[int] = ..., offers: _Optional[_Iterable[_Union[LeaseOffer, _Mapping]]] = ..., cancels: _Optional[_Iterable[_Union[LeaseCancel, _Mapping]]] = ..., watch: _Optional[_Union[Watch, _Mapping]] = ..., drain: _Optional[_Union[Drain, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("protocol_minor", "node_id", "epoch", "node", "held_leases", "features")
    PROTOCOL_MINOR_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    HELD_LEASES_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    protocol_minor: int
    node_id: str
    epoch: int
    node: NodeInfo
    held_leases: _containers.RepeatedCompositeFieldContainer[HeldLease]
    features: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, protocol_minor: _Optional[int] = ..., node_id: _Optional[str] = ..., epoch: _Optional[int] = ..., node: _Optional[_Union[NodeInfo, _Mapping]] = ..., held_leases: _Optional[_Iterable[_Union[HeldLease, _Mapping]]] = ..., features: _Optional[_Iterable[str]] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("protocol_minor", "report_interval", "session_ttl", "drop_leases", "features")
    PROTOCOL_MINOR_FIELD_NUMBER: _ClassVar[int]
    REPORT_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    SESSION_TTL_FIELD_NUMBER: _ClassVar[int]
    DROP_LEASES_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    protocol_minor: int
    report_interval: float
    session_ttl: float
    drop_leases: _containers.RepeatedCompositeFieldContainer[LeaseKey]
    features: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, protocol_minor: _Optional[int] = ..., report_interval: _Optional[float] = ..., session_ttl: _Optional[float] = ..., drop_leases: _Optional[_Iterable[_Union[LeaseKey, _Mapping]]] = ..., features: _Optional[_Iterable[str]] = ...) -> None: ...

class LeaseKey(_message.Message):
    __slots__ = ("job_id", "attempt")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    attempt: int
    def __init__(self, job_id: _Optional[str] = ..., attempt: _Optional[int] = ...) -> None: ...

class NodeInfo(_message.Message):
    __slots__ = ("name", "host_name", "agent_version", "os", "slots", "loopback", "gpus", "stages", "backend", "labels")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    HOST_NAME_FIELD_NUMBER: _ClassVar[int]
    AGENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    OS_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    LOOPBACK_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    name: str
    host_name: str
    agent_version: str
    os: str
    slots: int
    loopback: bool
    gpus: _containers.RepeatedCompositeFieldContainer[Gpu]
    stages: _containers.RepeatedCompositeFieldContainer[StageInfo]
    backend: BackendInfo
    labels: _containers.ScalarMap[str, str]
    def __init__(self, name: _Optional[str] = ..., host_name: _Optional[str] = ..., agent_version: _Optional[str] = ..., os: _Optional[str] = ..., slots: _Optional[int] = ..., loopback: bool = ..., gpus: _Optional[_Iterable[_Union[Gpu, _Mapping]]] = ..., stages: _Optional[_Iterable[_Union[StageInfo, _Mapping]]] = ..., backend: _Optional[_Union[BackendInfo, _Mapping]] = ..., labels: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Gpu(_message.Message):
    __slots__ = ("uuid", "name", "vram_total_bytes")
    UUID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VRAM_TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    name: str
    vram_total_bytes: int
    def __init__(self, uuid: _Optional[str] = ..., name: _Optional[str] = ..., vram_total_bytes: _Optional[int] = ...) -> None: ...

class StageInfo(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class BackendInfo(_message.Message):
    __slots__ = ("name", "version", "stand_in", "note", "features", "models", "vaes", "samplers", "schedulers", "upscalers", "loras", "embeddings", "scripts", "hires_upscalers", "hypernetworks", "styles", "face_restorers", "detectors")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STAND_IN_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    VAES_FIELD_NUMBER: _ClassVar[int]
    SAMPLERS_FIELD_NUMBER: _ClassVar[int]
    SCHEDULERS_FIELD_NUMBER: _ClassVar[int]
    UPSCALERS_FIELD_NUMBER: _ClassVar[int]
    LORAS_FIELD_NUMBER: _ClassVar[int]
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    SCRIPTS_FIELD_NUMBER: _ClassVar[int]
    HIRES_UPSCALERS_FIELD_NUMBER: _ClassVar[int]
    HYPERNETWORKS_FIELD_NUMBER: _ClassVar[int]
    STYLES_FIELD_NUMBER: _ClassVar[int]
    FACE_RESTORERS_FIELD_NUMBER: _ClassVar[int]
    DETECTORS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    stand_in: bool
    note: str
    features: _containers.RepeatedScalarFieldContainer[str]
    models: _containers.RepeatedScalarFieldContainer[str]
    vaes: _containers.RepeatedScalarFieldContainer[str]
    samplers: _containers.RepeatedScalarFieldContainer[str]
    schedulers: _containers.RepeatedScalarFieldContainer[str]
    upscalers: _containers.RepeatedScalarFieldContainer[str]
    loras: _containers.RepeatedScalarFieldContainer[str]
    embeddings: _containers.RepeatedScalarFieldContainer[str]
    scripts: _containers.RepeatedScalarFieldContainer[str]
    hires_upscalers: _containers.RepeatedScalarFieldContainer[str]
    hypernetworks: _containers.RepeatedScalarFieldContainer[str]
    styles: _containers.RepeatedScalarFieldContainer[str]
    face_restorers: _containers.RepeatedScalarFieldContainer[str]
    detectors: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., stand_in: bool = ..., note: _Optional[str] = ..., features: _Optional[_Iterable[str]] = ..., models: _Optional[_Iterable[str]] = ..., vaes: _Optional[_Iterable[str]] = ..., samplers: _Optional[_Iterable[str]] = ..., schedulers: _Optional[_Iterable[str]] = ..., upscalers: _Optional[_Iterable[str]] = ..., loras: _Optional[_Iterable[str]] = ..., embeddings: _Optional[_Iterable[str]] = ..., scripts: _Optional[_Iterable[str]] = ..., hires_upscalers: _Optional[_Iterable[str]] = ..., hypernetworks: _Optional[_Iterable[str]] = ..., styles: _Optional[_Iterable[str]] = ..., face_restorers: _Optional[_Iterable[str]] = ..., detectors: _Optional[_Iterable[str]] = ...) -> None: ...

class NodeReport(_message.Message):
    __slots__ = ("state", "gpus", "cpu_load", "ram_free_bytes", "disk_free_bytes", "loaded_model", "leases", "problem")
    STATE_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    CPU_LOAD_FIELD_NUMBER: _ClassVar[int]
    RAM_FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    DISK_FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    LOADED_MODEL_FIELD_NUMBER: _ClassVar[int]
    LEASES_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    state: str
    gpus: _containers.RepeatedCompositeFieldContainer[GpuLoad]
    cpu_load: float
    ram_free_bytes: int
    disk_free_bytes: int
    loaded_model: str
    leases: _containers.RepeatedCompositeFieldContainer[HeldLease]
    problem: str
    def __init__(self, state: _Optional[str] = ..., gpus: _Optional[_Iterable[_Union[GpuLoad, _Mapping]]] = ..., cpu_load: _Optional[float] = ..., ram_free_bytes: _Optional[int] = ..., disk_free_bytes: _Optional[int] = ..., loaded_model: _Optional[str] = ..., leases: _Optional[_Iterable[_Union[HeldLease, _Mapping]]] = ..., problem: _Optional[str] = ...) -> None: ...

class GpuLoad(_message.Message):
    __slots__ = ("uuid", "vram_used_bytes", "utilization", "temperature_c", "power_w")
    UUID_FIELD_NUMBER: _ClassVar[int]
    VRAM_USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    UTILIZATION_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_C_FIELD_NUMBER: _ClassVar[int]
    POWER_W_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    vram_used_bytes: int
    utilization: float
    temperature_c: float
    power_w: float
    def __init__(self, uuid: _Optional[str] = ..., vram_used_bytes: _Optional[int] = ..., utilization: _Optional[float] = ..., temperature_c: _Optional[float] = ..., power_w: _Optional[float] = ...) -> None: ...

class LeaseOffer(_message.Message):
    __slots__ = ("lease", "spec_json", "run_timeout", "orphan_timeout", "resume")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    SPEC_JSON_FIELD_NUMBER: _ClassVar[int]
    RUN_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    ORPHAN_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    lease: LeaseKey
    spec_json: bytes
    run_timeout: float
    orphan_timeout: float
    resume: StageResult
    def __init__(self, lease: _Optional[_Union[LeaseKey, _Mapping]] = ..., spec_json: _Optional[bytes] = ..., run_timeout: _Optional[float] = ..., orphan_timeout: _Optional[float] = ..., resume: _Optional[_Union[StageResult, _Mapping]] = ...) -> None: ...

class StageResult(_message.Message):
    __slots__ = ("stages", "images", "report_json")
    STAGES_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    REPORT_JSON_FIELD_NUMBER: _ClassVar[int]
    stages: int
    images: _containers.RepeatedCompositeFieldContainer[_common_pb2.Artifact]
    report_json: bytes
    def __init__(self, stages: _Optional[int] = ..., images: _Optional[_Iterable[_Union[_common_pb2.Artifact, _Mapping]]] = ..., report_json: _Optional[bytes] = ...) -> None: ...

class HeldLease(_message.Message):
    __slots__ = ("lease", "state")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    lease: LeaseKey
    state: str
    def __init__(self, lease: _Optional[_Union[LeaseKey, _Mapping]] = ..., state: _Optional[str] = ...) -> None: ...

class LeaseCancel(_message.Message):
    __slots__ = ("lease", "reason", "grace", "only_if_not_started")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    GRACE_FIELD_NUMBER: _ClassVar[int]
    ONLY_IF_NOT_STARTED_FIELD_NUMBER: _ClassVar[int]
    lease: LeaseKey
    reason: str
    grace: float
    only_if_not_started: bool
    def __init__(self, lease: _Optional[_Union[LeaseKey, _Mapping]] = ..., reason: _Optional[str] = ..., grace: _Optional[float] = ..., only_if_not_started: bool = ...) -> None: ...

class JobProgress(_message.Message):
    __slots__ = ("lease", "stage", "stage_index", "stage_count", "step", "steps", "fraction", "eta", "preview_jpeg")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    STAGE_INDEX_FIELD_NUMBER: _ClassVar[int]
    STAGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    ETA_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_JPEG_FIELD_NUMBER: _ClassVar[int]
    lease: LeaseKey
    stage: str
    stage_index: int
    stage_count: int
    step: int
    steps: int
    fraction: float
    eta: float
    preview_jpeg: bytes
    def __init__(self, lease: _Optional[_Union[LeaseKey, _Mapping]] = ..., stage: _Optional[str] = ..., stage_index: _Optional[int] = ..., stage_count: _Optional[int] = ..., step: _Optional[int] = ..., steps: _Optional[int] = ..., fraction: _Optional[float] = ..., eta: _Optional[float] = ..., preview_jpeg: _Optional[bytes] = ...) -> None: ...

class Fact(_message.Message):
    __slots__ = ("fact_id", "lease", "state", "outputs", "failure", "report_json", "run_time", "peak_vram_bytes", "stage")
    FACT_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    REPORT_JSON_FIELD_NUMBER: _ClassVar[int]
    RUN_TIME_FIELD_NUMBER: _ClassVar[int]
    PEAK_VRAM_BYTES_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    fact_id: int
    lease: LeaseKey
    state: str
    outputs: _containers.RepeatedCompositeFieldContainer[_common_pb2.Artifact]
    failure: _common_pb2.Failure
    report_json: bytes
    run_time: float
    peak_vram_bytes: int
    stage: StageResult
    def __init__(self, fact_id: _Optional[int] = ..., lease: _Optional[_Union[LeaseKey, _Mapping]] = ..., state: _Optional[str] = ..., outputs: _Optional[_Iterable[_Union[_common_pb2.Artifact, _Mapping]]] = ..., failure: _Optional[_Union[_common_pb2.Failure, _Mapping]] = ..., report_json: _Optional[bytes] = ..., run_time: _Optional[float] = ..., peak_vram_bytes: _Optional[int] = ..., stage: _Optional[_Union[StageResult, _Mapping]] = ...) -> None: ...

class Watch(_message.Message):
    __slots__ = ("previews",)
    PREVIEWS_FIELD_NUMBER: _ClassVar[int]
    previews: bool
    def __init__(self, previews: bool = ...) -> None: ...

class Drain(_message.Message):
    __slots__ = ("draining", "reason", "exit_when_idle")
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EXIT_WHEN_IDLE_FIELD_NUMBER: _ClassVar[int]
    draining: bool
    reason: str
    exit_when_idle: bool
    def __init__(self, draining: bool = ..., reason: _Optional[str] = ..., exit_when_idle: bool = ...) -> None: ...

class Goodbye(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...
