from stablenew_proto.v1 import agent_link_pb2 as _agent_link_pb2
from stablenew_proto.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("version", "pid", "data_folder", "address", "started_at", "sqlite_version", "queue", "nodes_online", "start_note", "problem")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    DATA_FOLDER_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    SQLITE_VERSION_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    NODES_ONLINE_FIELD_NUMBER: _ClassVar[int]
    START_NOTE_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    version: str
    pid: int
    data_folder: str
    address: str
    started_at: str
    sqlite_version: str
    queue: QueueSummary
    nodes_online: int
    start_note: str
    problem: str
    def __init__(self, version: _Optional[str] = ..., pid: _Optional[int] = ..., data_folder: _Optional[str] = ..., address: _Optional[str] = ..., started_at: _Optional[str] = ..., sqlite_version: _Optional[str] = ..., queue: _Optional[_Union[QueueSummary, _Mapping]] = ..., nodes_online: _Optional[int] = ..., start_note: _Optional[str] = ..., problem: _Optional[str] = ...) -> None: ...

class QueueSummary(_message.Message):
    __slots__ = ("paused", "paused_reason", "queued", "active", "done", "failed", "cancelled", "seconds")
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    PAUSED_REASON_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    paused: bool
    paused_reason: str
    queued: int
    active: int
    done: int
    failed: int
    cancelled: int
    seconds: float
    def __init__(self, paused: bool = ..., paused_reason: _Optional[str] = ..., queued: _Optional[int] = ..., active: _Optional[int] = ..., done: _Optional[int] = ..., failed: _Optional[int] = ..., cancelled: _Optional[int] = ..., seconds: _Optional[float] = ...) -> None: ...

class RunRequest(_message.Message):
    __slots__ = ("pack_name", "pack", "sidecar", "sidecar_name", "preset", "preset_json", "preset_name", "rows", "sets", "count", "seed", "out_dir", "priority", "reports", "pack_path", "limit", "sample", "wildcards", "like_last", "confirmed", "axes", "from_stage", "only_stages", "images", "promote")
    PACK_NAME_FIELD_NUMBER: _ClassVar[int]
    PACK_FIELD_NUMBER: _ClassVar[int]
    SIDECAR_FIELD_NUMBER: _ClassVar[int]
    SIDECAR_NAME_FIELD_NUMBER: _ClassVar[int]
    PRESET_FIELD_NUMBER: _ClassVar[int]
    PRESET_JSON_FIELD_NUMBER: _ClassVar[int]
    PRESET_NAME_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    SETS_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    OUT_DIR_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    PACK_PATH_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    WILDCARDS_FIELD_NUMBER: _ClassVar[int]
    LIKE_LAST_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_FIELD_NUMBER: _ClassVar[int]
    AXES_FIELD_NUMBER: _ClassVar[int]
    FROM_STAGE_FIELD_NUMBER: _ClassVar[int]
    ONLY_STAGES_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    PROMOTE_FIELD_NUMBER: _ClassVar[int]
    pack_name: str
    pack: bytes
    sidecar: bytes
    sidecar_name: str
    preset: str
    preset_json: bytes
    preset_name: str
    rows: str
    sets: _containers.RepeatedScalarFieldContainer[str]
    count: int
    seed: int
    out_dir: str
    priority: int
    reports: _containers.RepeatedScalarFieldContainer[str]
    pack_path: str
    limit: int
    sample: int
    wildcards: _containers.RepeatedCompositeFieldContainer[NamedFile]
    like_last: bool
    confirmed: bool
    axes: _containers.RepeatedScalarFieldContainer[str]
    from_stage: str
    only_stages: _containers.RepeatedScalarFieldContainer[str]
    images: _containers.RepeatedCompositeFieldContainer[SourceImage]
    promote: Promotion
    def __init__(self, pack_name: _Optional[str] = ..., pack: _Optional[bytes] = ..., sidecar: _Optional[bytes] = ..., sidecar_name: _Optional[str] = ..., preset: _Optional[str] = ..., preset_json: _Optional[bytes] = ..., preset_name: _Optional[str] = ..., rows: _Optional[str] = ..., sets: _Optional[_Iterable[str]] = ..., count: _Optional[int] = ..., seed: _Optional[int] = ..., out_dir: _Optional[str] = ..., priority: _Optional[int] = ..., reports: _Optional[_Iterable[str]] = ..., pack_path: _Optional[str] = ..., limit: _Optional[int] = ..., sample: _Optional[int] = ..., wildcards: _Optional[_Iterable[_Union[NamedFile, _Mapping]]] = ..., like_last: bool = ..., confirmed: bool = ..., axes: _Optional[_Iterable[str]] = ..., from_stage: _Optional[str] = ..., only_stages: _Optional[_Iterable[str]] = ..., images: _Optional[_Iterable[_Union[SourceImage, _Mapping]]] = ..., promote: _Optional[_Union[Promotion, _Mapping]] = ...) -> None: ...

class SourceImage(_message.Message):
    __slots__ = ("artifact", "prompt", "negative_prompt", "seed", "settings_json", "parameters", "pixel_sha256", "stages")
    ARTIFACT_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_PROMPT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_JSON_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    PIXEL_SHA256_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    artifact: _common_pb2.Artifact
    prompt: str
    negative_prompt: str
    seed: int
    settings_json: bytes
    parameters: str
    pixel_sha256: str
    stages: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, artifact: _Optional[_Union[_common_pb2.Artifact, _Mapping]] = ..., prompt: _Optional[str] = ..., negative_prompt: _Optional[str] = ..., seed: _Optional[int] = ..., settings_json: _Optional[bytes] = ..., parameters: _Optional[str] = ..., pixel_sha256: _Optional[str] = ..., stages: _Optional[_Iterable[str]] = ...) -> None: ...

class Promotion(_message.Message):
    __slots__ = ("min_rating", "tags", "run_id", "since", "again", "image_sha256s")
    MIN_RATING_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    AGAIN_FIELD_NUMBER: _ClassVar[int]
    IMAGE_SHA256S_FIELD_NUMBER: _ClassVar[int]
    min_rating: int
    tags: _containers.RepeatedScalarFieldContainer[str]
    run_id: str
    since: str
    again: bool
    image_sha256s: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, min_rating: _Optional[int] = ..., tags: _Optional[_Iterable[str]] = ..., run_id: _Optional[str] = ..., since: _Optional[str] = ..., again: bool = ..., image_sha256s: _Optional[_Iterable[str]] = ...) -> None: ...

class NamedFile(_message.Message):
    __slots__ = ("name", "content")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    content: bytes
    def __init__(self, name: _Optional[str] = ..., content: _Optional[bytes] = ...) -> None: ...

class PreviewRunRequest(_message.Message):
    __slots__ = ("run", "show", "replay")
    RUN_FIELD_NUMBER: _ClassVar[int]
    SHOW_FIELD_NUMBER: _ClassVar[int]
    REPLAY_FIELD_NUMBER: _ClassVar[int]
    run: RunRequest
    show: int
    replay: ReplayRequest
    def __init__(self, run: _Optional[_Union[RunRequest, _Mapping]] = ..., show: _Optional[int] = ..., replay: _Optional[_Union[ReplayRequest, _Mapping]] = ...) -> None: ...

class PreviewRunResponse(_message.Message):
    __slots__ = ("jobs", "summary")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[PlannedJob]
    summary: PlanSummary
    def __init__(self, jobs: _Optional[_Iterable[_Union[PlannedJob, _Mapping]]] = ..., summary: _Optional[_Union[PlanSummary, _Mapping]] = ...) -> None: ...

class PlannedJob(_message.Message):
    __slots__ = ("index", "row", "prompt", "negative_prompt", "seed", "stages", "node", "reason", "spec_sha256", "spec_json")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_PROMPT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SPEC_SHA256_FIELD_NUMBER: _ClassVar[int]
    SPEC_JSON_FIELD_NUMBER: _ClassVar[int]
    index: int
    row: int
    prompt: str
    negative_prompt: str
    seed: int
    stages: _containers.RepeatedScalarFieldContainer[str]
    node: str
    reason: str
    spec_sha256: str
    spec_json: bytes
    def __init__(self, index: _Optional[int] = ..., row: _Optional[int] = ..., prompt: _Optional[str] = ..., negative_prompt: _Optional[str] = ..., seed: _Optional[int] = ..., stages: _Optional[_Iterable[str]] = ..., node: _Optional[str] = ..., reason: _Optional[str] = ..., spec_sha256: _Optional[str] = ..., spec_json: _Optional[bytes] = ...) -> None: ...

class PlanSummary(_message.Message):
    __slots__ = ("jobs", "line", "warnings", "out_dir", "seconds", "question", "time")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    OUT_DIR_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    jobs: int
    line: str
    warnings: _containers.RepeatedScalarFieldContainer[str]
    out_dir: str
    seconds: float
    question: str
    time: str
    def __init__(self, jobs: _Optional[int] = ..., line: _Optional[str] = ..., warnings: _Optional[_Iterable[str]] = ..., out_dir: _Optional[str] = ..., seconds: _Optional[float] = ..., question: _Optional[str] = ..., time: _Optional[str] = ...) -> None: ...

class SubmitRunRequest(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: RunRequest
    def __init__(self, run: _Optional[_Union[RunRequest, _Mapping]] = ...) -> None: ...

class SubmitRunResponse(_message.Message):
    __slots__ = ("run_id", "summary")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    summary: PlanSummary
    def __init__(self, run_id: _Optional[str] = ..., summary: _Optional[_Union[PlanSummary, _Mapping]] = ...) -> None: ...

class ReplayRequest(_message.Message):
    __slots__ = ("spec_json", "source_name", "out_dir", "specs", "confirmed")
    SPEC_JSON_FIELD_NUMBER: _ClassVar[int]
    SOURCE_NAME_FIELD_NUMBER: _ClassVar[int]
    OUT_DIR_FIELD_NUMBER: _ClassVar[int]
    SPECS_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_FIELD_NUMBER: _ClassVar[int]
    spec_json: bytes
    source_name: str
    out_dir: str
    specs: _containers.RepeatedCompositeFieldContainer[NamedFile]
    confirmed: bool
    def __init__(self, spec_json: _Optional[bytes] = ..., source_name: _Optional[str] = ..., out_dir: _Optional[str] = ..., specs: _Optional[_Iterable[_Union[NamedFile, _Mapping]]] = ..., confirmed: bool = ...) -> None: ...

class ReplayResponse(_message.Message):
    __slots__ = ("run_id", "summary")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    summary: PlanSummary
    def __init__(self, run_id: _Optional[str] = ..., summary: _Optional[_Union[PlanSummary, _Mapping]] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("run_id", "jobs", "progress", "previews")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    PREVIEWS_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    jobs: bool
    progress: bool
    previews: bool
    def __init__(self, run_id: _Optional[str] = ..., jobs: bool = ..., progress: bool = ..., previews: bool = ...) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("runs", "jobs", "progress", "nodes", "images", "queue", "snapshot")
    RUNS_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[Run]
    jobs: _containers.RepeatedCompositeFieldContainer[Job]
    progress: _containers.RepeatedCompositeFieldContainer[RunningJob]
    nodes: _containers.RepeatedCompositeFieldContainer[Node]
    images: _containers.RepeatedCompositeFieldContainer[SavedImage]
    queue: QueueSummary
    snapshot: bool
    def __init__(self, runs: _Optional[_Iterable[_Union[Run, _Mapping]]] = ..., jobs: _Optional[_Iterable[_Union[Job, _Mapping]]] = ..., progress: _Optional[_Iterable[_Union[RunningJob, _Mapping]]] = ..., nodes: _Optional[_Iterable[_Union[Node, _Mapping]]] = ..., images: _Optional[_Iterable[_Union[SavedImage, _Mapping]]] = ..., queue: _Optional[_Union[QueueSummary, _Mapping]] = ..., snapshot: bool = ...) -> None: ...

class Run(_message.Message):
    __slots__ = ("run_id", "name", "created_at", "out_dir", "state", "total", "queued", "active", "done", "failed", "cancelled", "ended_at", "files", "seconds")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    OUT_DIR_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    name: str
    created_at: str
    out_dir: str
    state: str
    total: int
    queued: int
    active: int
    done: int
    failed: int
    cancelled: int
    ended_at: str
    files: _containers.RepeatedScalarFieldContainer[str]
    seconds: float
    def __init__(self, run_id: _Optional[str] = ..., name: _Optional[str] = ..., created_at: _Optional[str] = ..., out_dir: _Optional[str] = ..., state: _Optional[str] = ..., total: _Optional[int] = ..., queued: _Optional[int] = ..., active: _Optional[int] = ..., done: _Optional[int] = ..., failed: _Optional[int] = ..., cancelled: _Optional[int] = ..., ended_at: _Optional[str] = ..., files: _Optional[_Iterable[str]] = ..., seconds: _Optional[float] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("job_id", "run_id", "state", "attempt", "node", "priority", "prompt", "seed", "stages", "failure", "waiting_reason", "path", "run_time", "index", "run_name", "place", "ended_at")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    WAITING_REASON_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    RUN_TIME_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    RUN_NAME_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    run_id: str
    state: str
    attempt: int
    node: str
    priority: int
    prompt: str
    seed: int
    stages: _containers.RepeatedScalarFieldContainer[str]
    failure: _common_pb2.Failure
    waiting_reason: str
    path: str
    run_time: float
    index: int
    run_name: str
    place: int
    ended_at: str
    def __init__(self, job_id: _Optional[str] = ..., run_id: _Optional[str] = ..., state: _Optional[str] = ..., attempt: _Optional[int] = ..., node: _Optional[str] = ..., priority: _Optional[int] = ..., prompt: _Optional[str] = ..., seed: _Optional[int] = ..., stages: _Optional[_Iterable[str]] = ..., failure: _Optional[_Union[_common_pb2.Failure, _Mapping]] = ..., waiting_reason: _Optional[str] = ..., path: _Optional[str] = ..., run_time: _Optional[float] = ..., index: _Optional[int] = ..., run_name: _Optional[str] = ..., place: _Optional[int] = ..., ended_at: _Optional[str] = ...) -> None: ...

class RunningJob(_message.Message):
    __slots__ = ("job_id", "run_id", "node", "progress")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    run_id: str
    node: str
    progress: _agent_link_pb2.JobProgress
    def __init__(self, job_id: _Optional[str] = ..., run_id: _Optional[str] = ..., node: _Optional[str] = ..., progress: _Optional[_Union[_agent_link_pb2.JobProgress, _Mapping]] = ...) -> None: ...

class SavedImage(_message.Message):
    __slots__ = ("run_id", "job_id", "path", "image_sha256")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    IMAGE_SHA256_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    job_id: str
    path: str
    image_sha256: str
    def __init__(self, run_id: _Optional[str] = ..., job_id: _Optional[str] = ..., path: _Optional[str] = ..., image_sha256: _Optional[str] = ...) -> None: ...

class ListRunsRequest(_message.Message):
    __slots__ = ("limit",)
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    limit: int
    def __init__(self, limit: _Optional[int] = ...) -> None: ...

class ListRunsResponse(_message.Message):
    __slots__ = ("runs",)
    RUNS_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[Run]
    def __init__(self, runs: _Optional[_Iterable[_Union[Run, _Mapping]]] = ...) -> None: ...

class ListJobsRequest(_message.Message):
    __slots__ = ("run_id", "states", "limit", "offset", "order")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    states: _containers.RepeatedScalarFieldContainer[str]
    limit: int
    offset: int
    order: str
    def __init__(self, run_id: _Optional[str] = ..., states: _Optional[_Iterable[str]] = ..., limit: _Optional[int] = ..., offset: _Optional[int] = ..., order: _Optional[str] = ...) -> None: ...

class ListJobsResponse(_message.Message):
    __slots__ = ("jobs", "total")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Job]
    total: int
    def __init__(self, jobs: _Optional[_Iterable[_Union[Job, _Mapping]]] = ..., total: _Optional[int] = ...) -> None: ...

class GetJobRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class GetJobResponse(_message.Message):
    __slots__ = ("job", "spec_json", "events")
    JOB_FIELD_NUMBER: _ClassVar[int]
    SPEC_JSON_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    job: Job
    spec_json: bytes
    events: _containers.RepeatedCompositeFieldContainer[JobEvent]
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ..., spec_json: _Optional[bytes] = ..., events: _Optional[_Iterable[_Union[JobEvent, _Mapping]]] = ...) -> None: ...

class JobEvent(_message.Message):
    __slots__ = ("at", "who", "from_state", "to_state", "attempt", "why")
    AT_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    FROM_STATE_FIELD_NUMBER: _ClassVar[int]
    TO_STATE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    at: str
    who: str
    from_state: str
    to_state: str
    attempt: int
    why: str
    def __init__(self, at: _Optional[str] = ..., who: _Optional[str] = ..., from_state: _Optional[str] = ..., to_state: _Optional[str] = ..., attempt: _Optional[int] = ..., why: _Optional[str] = ...) -> None: ...

class ChangeJobsRequest(_message.Message):
    __slots__ = ("action", "job_ids", "run_id", "all", "reason", "before_job_id", "priority")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    JOB_IDS_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    BEFORE_JOB_ID_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    action: str
    job_ids: _containers.RepeatedScalarFieldContainer[str]
    run_id: str
    all: bool
    reason: str
    before_job_id: str
    priority: int
    def __init__(self, action: _Optional[str] = ..., job_ids: _Optional[_Iterable[str]] = ..., run_id: _Optional[str] = ..., all: bool = ..., reason: _Optional[str] = ..., before_job_id: _Optional[str] = ..., priority: _Optional[int] = ...) -> None: ...

class ChangeJobsResponse(_message.Message):
    __slots__ = ("changed", "notes")
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    changed: int
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, changed: _Optional[int] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class SetQueuePausedRequest(_message.Message):
    __slots__ = ("paused", "reason")
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    paused: bool
    reason: str
    def __init__(self, paused: bool = ..., reason: _Optional[str] = ...) -> None: ...

class SetQueuePausedResponse(_message.Message):
    __slots__ = ("queue",)
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    queue: QueueSummary
    def __init__(self, queue: _Optional[_Union[QueueSummary, _Mapping]] = ...) -> None: ...

class ListNodesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListNodesResponse(_message.Message):
    __slots__ = ("nodes",)
    NODES_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[Node]
    def __init__(self, nodes: _Optional[_Iterable[_Union[Node, _Mapping]]] = ...) -> None: ...

class Node(_message.Message):
    __slots__ = ("node_id", "info", "report", "state", "silent_for", "running", "last_refusal")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    INFO_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SILENT_FOR_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    LAST_REFUSAL_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    info: _agent_link_pb2.NodeInfo
    report: _agent_link_pb2.NodeReport
    state: str
    silent_for: float
    running: _containers.RepeatedCompositeFieldContainer[RunningJob]
    last_refusal: str
    def __init__(self, node_id: _Optional[str] = ..., info: _Optional[_Union[_agent_link_pb2.NodeInfo, _Mapping]] = ..., report: _Optional[_Union[_agent_link_pb2.NodeReport, _Mapping]] = ..., state: _Optional[str] = ..., silent_for: _Optional[float] = ..., running: _Optional[_Iterable[_Union[RunningJob, _Mapping]]] = ..., last_refusal: _Optional[str] = ...) -> None: ...

class DrainNodeRequest(_message.Message):
    __slots__ = ("node", "draining", "reason")
    NODE_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    node: str
    draining: bool
    reason: str
    def __init__(self, node: _Optional[str] = ..., draining: bool = ..., reason: _Optional[str] = ...) -> None: ...

class DrainNodeResponse(_message.Message):
    __slots__ = ("node",)
    NODE_FIELD_NUMBER: _ClassVar[int]
    node: Node
    def __init__(self, node: _Optional[_Union[Node, _Mapping]] = ...) -> None: ...

class ListPluginsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListPluginsResponse(_message.Message):
    __slots__ = ("plugins",)
    PLUGINS_FIELD_NUMBER: _ClassVar[int]
    plugins: _containers.RepeatedCompositeFieldContainer[Plugin]
    def __init__(self, plugins: _Optional[_Iterable[_Union[Plugin, _Mapping]]] = ...) -> None: ...

class Plugin(_message.Message):
    __slots__ = ("name", "version", "distribution", "state", "reason", "provides")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DISTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PROVIDES_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    distribution: str
    state: str
    reason: str
    provides: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., distribution: _Optional[str] = ..., state: _Optional[str] = ..., reason: _Optional[str] = ..., provides: _Optional[_Iterable[str]] = ...) -> None: ...

class RateImageRequest(_message.Message):
    __slots__ = ("image_sha256", "stars", "tags", "file_name")
    IMAGE_SHA256_FIELD_NUMBER: _ClassVar[int]
    STARS_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    FILE_NAME_FIELD_NUMBER: _ClassVar[int]
    image_sha256: str
    stars: int
    tags: _containers.RepeatedScalarFieldContainer[str]
    file_name: str
    def __init__(self, image_sha256: _Optional[str] = ..., stars: _Optional[int] = ..., tags: _Optional[_Iterable[str]] = ..., file_name: _Optional[str] = ...) -> None: ...

class RateImageResponse(_message.Message):
    __slots__ = ("known",)
    KNOWN_FIELD_NUMBER: _ClassVar[int]
    known: bool
    def __init__(self, known: bool = ...) -> None: ...

class StopKernelRequest(_message.Message):
    __slots__ = ("wait_for_running",)
    WAIT_FOR_RUNNING_FIELD_NUMBER: _ClassVar[int]
    wait_for_running: bool
    def __init__(self, wait_for_running: bool = ...) -> None: ...

class StopKernelResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Place(_message.Message):
    __slots__ = ("pack", "slot", "mode", "state", "changed_at", "kept_json")
    PACK_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    KEPT_JSON_FIELD_NUMBER: _ClassVar[int]
    pack: str
    slot: str
    mode: str
    state: str
    changed_at: str
    kept_json: bytes
    def __init__(self, pack: _Optional[str] = ..., slot: _Optional[str] = ..., mode: _Optional[str] = ..., state: _Optional[str] = ..., changed_at: _Optional[str] = ..., kept_json: _Optional[bytes] = ...) -> None: ...

class ListPlacesRequest(_message.Message):
    __slots__ = ("pack", "slot")
    PACK_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    pack: str
    slot: str
    def __init__(self, pack: _Optional[str] = ..., slot: _Optional[str] = ...) -> None: ...

class ListPlacesResponse(_message.Message):
    __slots__ = ("places",)
    PLACES_FIELD_NUMBER: _ClassVar[int]
    places: _containers.RepeatedCompositeFieldContainer[Place]
    def __init__(self, places: _Optional[_Iterable[_Union[Place, _Mapping]]] = ...) -> None: ...

class ResetPlacesRequest(_message.Message):
    __slots__ = ("pack", "slot")
    PACK_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    pack: str
    slot: str
    def __init__(self, pack: _Optional[str] = ..., slot: _Optional[str] = ...) -> None: ...

class ResetPlacesResponse(_message.Message):
    __slots__ = ("reset",)
    RESET_FIELD_NUMBER: _ClassVar[int]
    reset: int
    def __init__(self, reset: _Optional[int] = ...) -> None: ...

class ListStagesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListStagesResponse(_message.Message):
    __slots__ = ("stages",)
    STAGES_FIELD_NUMBER: _ClassVar[int]
    stages: _containers.RepeatedCompositeFieldContainer[Stage]
    def __init__(self, stages: _Optional[_Iterable[_Union[Stage, _Mapping]]] = ...) -> None: ...

class Stage(_message.Message):
    __slots__ = ("name", "version", "title", "phase", "plugin", "schema_json", "description")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    PLUGIN_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_JSON_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    title: str
    phase: str
    plugin: str
    schema_json: bytes
    description: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., title: _Optional[str] = ..., phase: _Optional[str] = ..., plugin: _Optional[str] = ..., schema_json: _Optional[bytes] = ..., description: _Optional[str] = ...) -> None: ...

class GetSettingsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetSettingsResponse(_message.Message):
    __slots__ = ("settings", "path", "problem")
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    settings: _containers.RepeatedCompositeFieldContainer[KernelSetting]
    path: str
    problem: str
    def __init__(self, settings: _Optional[_Iterable[_Union[KernelSetting, _Mapping]]] = ..., path: _Optional[str] = ..., problem: _Optional[str] = ...) -> None: ...

class KernelSetting(_message.Message):
    __slots__ = ("name", "value_json", "active_json", "schema_json", "description", "restart")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_JSON_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_JSON_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_JSON_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    RESTART_FIELD_NUMBER: _ClassVar[int]
    name: str
    value_json: bytes
    active_json: bytes
    schema_json: bytes
    description: str
    restart: bool
    def __init__(self, name: _Optional[str] = ..., value_json: _Optional[bytes] = ..., active_json: _Optional[bytes] = ..., schema_json: _Optional[bytes] = ..., description: _Optional[str] = ..., restart: bool = ...) -> None: ...

class ChangeSettingsRequest(_message.Message):
    __slots__ = ("values_json",)
    class ValuesJsonEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bytes
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...
    VALUES_JSON_FIELD_NUMBER: _ClassVar[int]
    values_json: _containers.ScalarMap[str, bytes]
    def __init__(self, values_json: _Optional[_Mapping[str, bytes]] = ...) -> None: ...

class ChangeSettingsResponse(_message.Message):
    __slots__ = ("settings", "notes")
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    settings: _containers.RepeatedCompositeFieldContainer[KernelSetting]
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, settings: _Optional[_Iterable[_Union[KernelSetting, _Mapping]]] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...
