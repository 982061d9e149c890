from stablenew_proto.v1 import kernel_pb2 as _kernel_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Entry(_message.Message):
    __slots__ = ("kind", "name", "path", "shipped", "changed_at", "description", "subject")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    SHIPPED_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    kind: str
    name: str
    path: str
    shipped: bool
    changed_at: str
    description: str
    subject: str
    def __init__(self, kind: _Optional[str] = ..., name: _Optional[str] = ..., path: _Optional[str] = ..., shipped: bool = ..., changed_at: _Optional[str] = ..., description: _Optional[str] = ..., subject: _Optional[str] = ...) -> None: ...

class ListEntriesRequest(_message.Message):
    __slots__ = ("kind", "trash")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TRASH_FIELD_NUMBER: _ClassVar[int]
    kind: str
    trash: bool
    def __init__(self, kind: _Optional[str] = ..., trash: bool = ...) -> None: ...

class ListEntriesResponse(_message.Message):
    __slots__ = ("entries", "problems")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[Entry]
    problems: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, entries: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ..., problems: _Optional[_Iterable[str]] = ...) -> None: ...

class GetEntryRequest(_message.Message):
    __slots__ = ("kind", "name")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    kind: str
    name: str
    def __init__(self, kind: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class GetEntryResponse(_message.Message):
    __slots__ = ("entry", "content", "warnings")
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    entry: Entry
    content: bytes
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, entry: _Optional[_Union[Entry, _Mapping]] = ..., content: _Optional[bytes] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class SaveEntryRequest(_message.Message):
    __slots__ = ("kind", "name", "content", "entry", "run_id", "sets", "unsets", "description", "replace")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    SETS_FIELD_NUMBER: _ClassVar[int]
    UNSETS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    REPLACE_FIELD_NUMBER: _ClassVar[int]
    kind: str
    name: str
    content: bytes
    entry: str
    run_id: str
    sets: _containers.RepeatedScalarFieldContainer[str]
    unsets: _containers.RepeatedScalarFieldContainer[str]
    description: str
    replace: bool
    def __init__(self, kind: _Optional[str] = ..., name: _Optional[str] = ..., content: _Optional[bytes] = ..., entry: _Optional[str] = ..., run_id: _Optional[str] = ..., sets: _Optional[_Iterable[str]] = ..., unsets: _Optional[_Iterable[str]] = ..., description: _Optional[str] = ..., replace: bool = ...) -> None: ...

class SaveEntryResponse(_message.Message):
    __slots__ = ("entry", "trash_path", "warnings")
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    TRASH_PATH_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    entry: Entry
    trash_path: str
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, entry: _Optional[_Union[Entry, _Mapping]] = ..., trash_path: _Optional[str] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class ChangeEntryRequest(_message.Message):
    __slots__ = ("kind", "action", "name", "new_name", "replace")
    KIND_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    NEW_NAME_FIELD_NUMBER: _ClassVar[int]
    REPLACE_FIELD_NUMBER: _ClassVar[int]
    kind: str
    action: str
    name: str
    new_name: str
    replace: bool
    def __init__(self, kind: _Optional[str] = ..., action: _Optional[str] = ..., name: _Optional[str] = ..., new_name: _Optional[str] = ..., replace: bool = ...) -> None: ...

class ChangeEntryResponse(_message.Message):
    __slots__ = ("entry", "trash_path")
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    TRASH_PATH_FIELD_NUMBER: _ClassVar[int]
    entry: Entry
    trash_path: str
    def __init__(self, entry: _Optional[_Union[Entry, _Mapping]] = ..., trash_path: _Optional[str] = ...) -> None: ...

class SettingsSource(_message.Message):
    __slots__ = ("preset", "content", "label")
    PRESET_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    preset: str
    content: bytes
    label: str
    def __init__(self, preset: _Optional[str] = ..., content: _Optional[bytes] = ..., label: _Optional[str] = ...) -> None: ...

class DiffSettingsRequest(_message.Message):
    __slots__ = ("left", "right")
    LEFT_FIELD_NUMBER: _ClassVar[int]
    RIGHT_FIELD_NUMBER: _ClassVar[int]
    left: SettingsSource
    right: SettingsSource
    def __init__(self, left: _Optional[_Union[SettingsSource, _Mapping]] = ..., right: _Optional[_Union[SettingsSource, _Mapping]] = ...) -> None: ...

class DiffSettingsResponse(_message.Message):
    __slots__ = ("differences", "equal")
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    EQUAL_FIELD_NUMBER: _ClassVar[int]
    differences: _containers.RepeatedCompositeFieldContainer[Difference]
    equal: int
    def __init__(self, differences: _Optional[_Iterable[_Union[Difference, _Mapping]]] = ..., equal: _Optional[int] = ...) -> None: ...

class Difference(_message.Message):
    __slots__ = ("name", "left_json", "right_json")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LEFT_JSON_FIELD_NUMBER: _ClassVar[int]
    RIGHT_JSON_FIELD_NUMBER: _ClassVar[int]
    name: str
    left_json: bytes
    right_json: bytes
    def __init__(self, name: _Optional[str] = ..., left_json: _Optional[bytes] = ..., right_json: _Optional[bytes] = ...) -> None: ...

class ExplainSettingsRequest(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: _kernel_pb2.RunRequest
    def __init__(self, run: _Optional[_Union[_kernel_pb2.RunRequest, _Mapping]] = ...) -> None: ...

class ExplainSettingsResponse(_message.Message):
    __slots__ = ("stages", "settings", "warnings")
    STAGES_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    stages: _containers.RepeatedScalarFieldContainer[str]
    settings: _containers.RepeatedCompositeFieldContainer[Setting]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, stages: _Optional[_Iterable[str]] = ..., settings: _Optional[_Iterable[_Union[Setting, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class Setting(_message.Message):
    __slots__ = ("name", "value_json", "source", "place", "title", "used", "below")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_JSON_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    BELOW_FIELD_NUMBER: _ClassVar[int]
    name: str
    value_json: bytes
    source: str
    place: str
    title: str
    used: bool
    below: _containers.RepeatedCompositeFieldContainer[SettingBelow]
    def __init__(self, name: _Optional[str] = ..., value_json: _Optional[bytes] = ..., source: _Optional[str] = ..., place: _Optional[str] = ..., title: _Optional[str] = ..., used: bool = ..., below: _Optional[_Iterable[_Union[SettingBelow, _Mapping]]] = ...) -> None: ...

class SettingBelow(_message.Message):
    __slots__ = ("source", "value_json")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    VALUE_JSON_FIELD_NUMBER: _ClassVar[int]
    source: str
    value_json: bytes
    def __init__(self, source: _Optional[str] = ..., value_json: _Optional[bytes] = ...) -> None: ...
