from stablenew_proto.v1 import kernel_pb2 as _kernel_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Image(_message.Message):
    __slots__ = ("image_sha256", "path", "run_id", "run_name", "job_id", "row", "saved_at", "width", "height", "prompt", "negative_prompt", "seed", "model", "preset", "stages", "node", "run_time", "stars", "tags", "choices")
    IMAGE_SHA256_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_NAME_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    SAVED_AT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_PROMPT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PRESET_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    RUN_TIME_FIELD_NUMBER: _ClassVar[int]
    STARS_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    CHOICES_FIELD_NUMBER: _ClassVar[int]
    image_sha256: str
    path: str
    run_id: str
    run_name: str
    job_id: str
    row: int
    saved_at: str
    width: int
    height: int
    prompt: str
    negative_prompt: str
    seed: int
    model: str
    preset: str
    stages: _containers.RepeatedScalarFieldContainer[str]
    node: str
    run_time: float
    stars: int
    tags: _containers.RepeatedScalarFieldContainer[str]
    choices: _containers.RepeatedCompositeFieldContainer[Choice]
    def __init__(self, image_sha256: _Optional[str] = ..., path: _Optional[str] = ..., run_id: _Optional[str] = ..., run_name: _Optional[str] = ..., job_id: _Optional[str] = ..., row: _Optional[int] = ..., saved_at: _Optional[str] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., prompt: _Optional[str] = ..., negative_prompt: _Optional[str] = ..., seed: _Optional[int] = ..., model: _Optional[str] = ..., preset: _Optional[str] = ..., stages: _Optional[_Iterable[str]] = ..., node: _Optional[str] = ..., run_time: _Optional[float] = ..., stars: _Optional[int] = ..., tags: _Optional[_Iterable[str]] = ..., choices: _Optional[_Iterable[_Union[Choice, _Mapping]]] = ...) -> None: ...

class Choice(_message.Message):
    __slots__ = ("slot", "value")
    SLOT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    slot: str
    value: str
    def __init__(self, slot: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class ImageFilter(_message.Message):
    __slots__ = ("run_id", "packs", "models", "tags", "min_stars", "unrated", "words", "stage", "presets", "since", "until")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PACKS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    MIN_STARS_FIELD_NUMBER: _ClassVar[int]
    UNRATED_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    PRESETS_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    packs: _containers.RepeatedScalarFieldContainer[str]
    models: _containers.RepeatedScalarFieldContainer[str]
    tags: _containers.RepeatedScalarFieldContainer[str]
    min_stars: int
    unrated: bool
    words: str
    stage: str
    presets: _containers.RepeatedScalarFieldContainer[str]
    since: str
    until: str
    def __init__(self, run_id: _Optional[str] = ..., packs: _Optional[_Iterable[str]] = ..., models: _Optional[_Iterable[str]] = ..., tags: _Optional[_Iterable[str]] = ..., min_stars: _Optional[int] = ..., unrated: bool = ..., words: _Optional[str] = ..., stage: _Optional[str] = ..., presets: _Optional[_Iterable[str]] = ..., since: _Optional[str] = ..., until: _Optional[str] = ...) -> None: ...

class ListImagesRequest(_message.Message):
    __slots__ = ("filter", "order", "limit", "offset")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    filter: ImageFilter
    order: str
    limit: int
    offset: int
    def __init__(self, filter: _Optional[_Union[ImageFilter, _Mapping]] = ..., order: _Optional[str] = ..., limit: _Optional[int] = ..., offset: _Optional[int] = ...) -> None: ...

class ListImagesResponse(_message.Message):
    __slots__ = ("images", "total")
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    images: _containers.RepeatedCompositeFieldContainer[Image]
    total: int
    def __init__(self, images: _Optional[_Iterable[_Union[Image, _Mapping]]] = ..., total: _Optional[int] = ...) -> None: ...

class GetImageRequest(_message.Message):
    __slots__ = ("image_sha256",)
    IMAGE_SHA256_FIELD_NUMBER: _ClassVar[int]
    image_sha256: str
    def __init__(self, image_sha256: _Optional[str] = ...) -> None: ...

class GetImageResponse(_message.Message):
    __slots__ = ("image", "settings_json", "spec_json", "infotext", "times", "backend", "peak_vram_bytes", "manifest_json")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_JSON_FIELD_NUMBER: _ClassVar[int]
    SPEC_JSON_FIELD_NUMBER: _ClassVar[int]
    INFOTEXT_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    PEAK_VRAM_BYTES_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_JSON_FIELD_NUMBER: _ClassVar[int]
    image: Image
    settings_json: bytes
    spec_json: bytes
    infotext: str
    times: _containers.RepeatedCompositeFieldContainer[StageTime]
    backend: str
    peak_vram_bytes: int
    manifest_json: bytes
    def __init__(self, image: _Optional[_Union[Image, _Mapping]] = ..., settings_json: _Optional[bytes] = ..., spec_json: _Optional[bytes] = ..., infotext: _Optional[str] = ..., times: _Optional[_Iterable[_Union[StageTime, _Mapping]]] = ..., backend: _Optional[str] = ..., peak_vram_bytes: _Optional[int] = ..., manifest_json: _Optional[bytes] = ...) -> None: ...

class StageTime(_message.Message):
    __slots__ = ("stage", "seconds")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    stage: str
    seconds: float
    def __init__(self, stage: _Optional[str] = ..., seconds: _Optional[float] = ...) -> None: ...

class ListFacetsRequest(_message.Message):
    __slots__ = ("filter",)
    FILTER_FIELD_NUMBER: _ClassVar[int]
    filter: ImageFilter
    def __init__(self, filter: _Optional[_Union[ImageFilter, _Mapping]] = ...) -> None: ...

class ListFacetsResponse(_message.Message):
    __slots__ = ("packs", "models", "tags", "presets", "stars")
    PACKS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    PRESETS_FIELD_NUMBER: _ClassVar[int]
    STARS_FIELD_NUMBER: _ClassVar[int]
    packs: _containers.RepeatedCompositeFieldContainer[Facet]
    models: _containers.RepeatedCompositeFieldContainer[Facet]
    tags: _containers.RepeatedCompositeFieldContainer[Facet]
    presets: _containers.RepeatedCompositeFieldContainer[Facet]
    stars: _containers.RepeatedCompositeFieldContainer[Facet]
    def __init__(self, packs: _Optional[_Iterable[_Union[Facet, _Mapping]]] = ..., models: _Optional[_Iterable[_Union[Facet, _Mapping]]] = ..., tags: _Optional[_Iterable[_Union[Facet, _Mapping]]] = ..., presets: _Optional[_Iterable[_Union[Facet, _Mapping]]] = ..., stars: _Optional[_Iterable[_Union[Facet, _Mapping]]] = ...) -> None: ...

class Facet(_message.Message):
    __slots__ = ("value", "images")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    value: str
    images: int
    def __init__(self, value: _Optional[str] = ..., images: _Optional[int] = ...) -> None: ...

class CountStarsRequest(_message.Message):
    __slots__ = ("filter", "settings")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    filter: ImageFilter
    settings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, filter: _Optional[_Union[ImageFilter, _Mapping]] = ..., settings: _Optional[_Iterable[str]] = ...) -> None: ...

class CountStarsResponse(_message.Message):
    __slots__ = ("counts",)
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    counts: _containers.RepeatedCompositeFieldContainer[StarCount]
    def __init__(self, counts: _Optional[_Iterable[_Union[StarCount, _Mapping]]] = ...) -> None: ...

class StarCount(_message.Message):
    __slots__ = ("kind", "value", "images")
    KIND_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    kind: str
    value: str
    images: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, kind: _Optional[str] = ..., value: _Optional[str] = ..., images: _Optional[_Iterable[int]] = ...) -> None: ...

class ReadImageRequest(_message.Message):
    __slots__ = ("name", "data")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    name: str
    data: bytes
    def __init__(self, name: _Optional[str] = ..., data: _Optional[bytes] = ...) -> None: ...

class ReadImageResponse(_message.Message):
    __slots__ = ("program", "prompt", "negative_prompt", "settings_json", "notes", "width", "height", "image_sha256", "spec_json")
    PROGRAM_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_PROMPT_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_JSON_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_SHA256_FIELD_NUMBER: _ClassVar[int]
    SPEC_JSON_FIELD_NUMBER: _ClassVar[int]
    program: str
    prompt: str
    negative_prompt: str
    settings_json: bytes
    notes: _containers.RepeatedScalarFieldContainer[str]
    width: int
    height: int
    image_sha256: str
    spec_json: bytes
    def __init__(self, program: _Optional[str] = ..., prompt: _Optional[str] = ..., negative_prompt: _Optional[str] = ..., settings_json: _Optional[bytes] = ..., notes: _Optional[_Iterable[str]] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., image_sha256: _Optional[str] = ..., spec_json: _Optional[bytes] = ...) -> None: ...
