from stablenew_proto.v1 import kernel_pb2 as _kernel_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DescribePackRequest(_message.Message):
    __slots__ = ("run", "check", "rows")
    RUN_FIELD_NUMBER: _ClassVar[int]
    CHECK_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    run: _kernel_pb2.RunRequest
    check: bool
    rows: int
    def __init__(self, run: _Optional[_Union[_kernel_pb2.RunRequest, _Mapping]] = ..., check: bool = ..., rows: _Optional[int] = ...) -> None: ...

class DescribePackResponse(_message.Message):
    __slots__ = ("rows", "row_count", "problems", "slots", "images")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[PackRow]
    row_count: int
    problems: _containers.RepeatedCompositeFieldContainer[PackProblem]
    slots: _containers.RepeatedCompositeFieldContainer[PackSlot]
    images: str
    def __init__(self, rows: _Optional[_Iterable[_Union[PackRow, _Mapping]]] = ..., row_count: _Optional[int] = ..., problems: _Optional[_Iterable[_Union[PackProblem, _Mapping]]] = ..., slots: _Optional[_Iterable[_Union[PackSlot, _Mapping]]] = ..., images: _Optional[str] = ...) -> None: ...

class PackRow(_message.Message):
    __slots__ = ("number", "line", "positive", "negative", "text")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    POSITIVE_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    number: int
    line: int
    positive: str
    negative: str
    text: str
    def __init__(self, number: _Optional[int] = ..., line: _Optional[int] = ..., positive: _Optional[str] = ..., negative: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class PackProblem(_message.Message):
    __slots__ = ("row", "line", "column", "severity", "reason", "fix", "file")
    ROW_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FIX_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    row: int
    line: int
    column: int
    severity: str
    reason: str
    fix: str
    file: str
    def __init__(self, row: _Optional[int] = ..., line: _Optional[int] = ..., column: _Optional[int] = ..., severity: _Optional[str] = ..., reason: _Optional[str] = ..., fix: _Optional[str] = ..., file: _Optional[str] = ...) -> None: ...

class PackSlot(_message.Message):
    __slots__ = ("name", "kind", "options", "option_count", "mode", "source", "rows", "setting", "options_setting")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    OPTION_COUNT_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    SETTING_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_SETTING_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    options: _containers.RepeatedScalarFieldContainer[str]
    option_count: int
    mode: str
    source: str
    rows: _containers.RepeatedScalarFieldContainer[int]
    setting: str
    options_setting: str
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., options: _Optional[_Iterable[str]] = ..., option_count: _Optional[int] = ..., mode: _Optional[str] = ..., source: _Optional[str] = ..., rows: _Optional[_Iterable[int]] = ..., setting: _Optional[str] = ..., options_setting: _Optional[str] = ...) -> None: ...

class EditPackRequest(_message.Message):
    __slots__ = ("name", "content", "edits")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    EDITS_FIELD_NUMBER: _ClassVar[int]
    name: str
    content: bytes
    edits: _containers.RepeatedCompositeFieldContainer[PackEdit]
    def __init__(self, name: _Optional[str] = ..., content: _Optional[bytes] = ..., edits: _Optional[_Iterable[_Union[PackEdit, _Mapping]]] = ...) -> None: ...

class PackEdit(_message.Message):
    __slots__ = ("set_row", "add_row", "remove_row", "move_row")
    SET_ROW_FIELD_NUMBER: _ClassVar[int]
    ADD_ROW_FIELD_NUMBER: _ClassVar[int]
    REMOVE_ROW_FIELD_NUMBER: _ClassVar[int]
    MOVE_ROW_FIELD_NUMBER: _ClassVar[int]
    set_row: SetRow
    add_row: AddRow
    remove_row: int
    move_row: MoveRow
    def __init__(self, set_row: _Optional[_Union[SetRow, _Mapping]] = ..., add_row: _Optional[_Union[AddRow, _Mapping]] = ..., remove_row: _Optional[int] = ..., move_row: _Optional[_Union[MoveRow, _Mapping]] = ...) -> None: ...

class SetRow(_message.Message):
    __slots__ = ("row", "positive", "negative")
    ROW_FIELD_NUMBER: _ClassVar[int]
    POSITIVE_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_FIELD_NUMBER: _ClassVar[int]
    row: int
    positive: str
    negative: str
    def __init__(self, row: _Optional[int] = ..., positive: _Optional[str] = ..., negative: _Optional[str] = ...) -> None: ...

class AddRow(_message.Message):
    __slots__ = ("positive", "negative", "at")
    POSITIVE_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    positive: str
    negative: str
    at: int
    def __init__(self, positive: _Optional[str] = ..., negative: _Optional[str] = ..., at: _Optional[int] = ...) -> None: ...

class MoveRow(_message.Message):
    __slots__ = ("row", "to")
    ROW_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    row: int
    to: int
    def __init__(self, row: _Optional[int] = ..., to: _Optional[int] = ...) -> None: ...

class EditPackResponse(_message.Message):
    __slots__ = ("content",)
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    content: bytes
    def __init__(self, content: _Optional[bytes] = ...) -> None: ...

class ReadPromptRequest(_message.Message):
    __slots__ = ("prompt", "run")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    run: _kernel_pb2.RunRequest
    def __init__(self, prompt: _Optional[str] = ..., run: _Optional[_Union[_kernel_pb2.RunRequest, _Mapping]] = ...) -> None: ...

class ReadPromptResponse(_message.Message):
    __slots__ = ("spans", "problems", "tokens", "models")
    SPANS_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    spans: _containers.RepeatedCompositeFieldContainer[Span]
    problems: _containers.RepeatedCompositeFieldContainer[PackProblem]
    tokens: int
    models: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, spans: _Optional[_Iterable[_Union[Span, _Mapping]]] = ..., problems: _Optional[_Iterable[_Union[PackProblem, _Mapping]]] = ..., tokens: _Optional[int] = ..., models: _Optional[_Iterable[str]] = ...) -> None: ...

class Span(_message.Message):
    __slots__ = ("start", "end", "kind", "name", "depth")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    start: int
    end: int
    kind: str
    name: str
    depth: int
    def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ..., kind: _Optional[str] = ..., name: _Optional[str] = ..., depth: _Optional[int] = ...) -> None: ...

class ListWildcardsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListWildcardsResponse(_message.Message):
    __slots__ = ("wildcards",)
    WILDCARDS_FIELD_NUMBER: _ClassVar[int]
    wildcards: _containers.RepeatedCompositeFieldContainer[WildcardInfo]
    def __init__(self, wildcards: _Optional[_Iterable[_Union[WildcardInfo, _Mapping]]] = ...) -> None: ...

class WildcardInfo(_message.Message):
    __slots__ = ("name", "values", "first", "source")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    values: int
    first: _containers.RepeatedScalarFieldContainer[str]
    source: str
    def __init__(self, name: _Optional[str] = ..., values: _Optional[int] = ..., first: _Optional[_Iterable[str]] = ..., source: _Optional[str] = ...) -> None: ...
