from stablenew_proto.v1 import kernel_pb2 as _kernel_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Preset(_message.Message):
    __slots__ = ("name", "path", "shipped", "changed_at", "description")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    SHIPPED_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    path: str
    shipped: bool
    changed_at: str
    description: str
    def __init__(self, name: _Optional[str] = ..., path: _Optional[str] = ..., shipped: bool = ..., changed_at: _Optional[str] = ..., description: _Optional[str] = ...) -> None: ...

class ListPresetsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListPresetsResponse(_message.Message):
    __slots__ = ("presets", "problems")
    PRESETS_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    presets: _containers.RepeatedCompositeFieldContainer[Preset]
    problems: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, presets: _Optional[_Iterable[_Union[Preset, _Mapping]]] = ..., problems: _Optional[_Iterable[str]] = ...) -> None: ...

class GetPresetRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetPresetResponse(_message.Message):
    __slots__ = ("preset", "json")
    PRESET_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    preset: Preset
    json: bytes
    def __init__(self, preset: _Optional[_Union[Preset, _Mapping]] = ..., json: _Optional[bytes] = ...) -> None: ...

class SavePresetRequest(_message.Message):
    __slots__ = ("name", "json", "replace")
    NAME_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    REPLACE_FIELD_NUMBER: _ClassVar[int]
    name: str
    json: bytes
    replace: bool
    def __init__(self, name: _Optional[str] = ..., json: _Optional[bytes] = ..., replace: bool = ...) -> None: ...

class SavePresetResponse(_message.Message):
    __slots__ = ("preset",)
    PRESET_FIELD_NUMBER: _ClassVar[int]
    preset: Preset
    def __init__(self, preset: _Optional[_Union[Preset, _Mapping]] = ...) -> None: ...

class ChangePresetRequest(_message.Message):
    __slots__ = ("action", "name", "new_name")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    NEW_NAME_FIELD_NUMBER: _ClassVar[int]
    action: str
    name: str
    new_name: str
    def __init__(self, action: _Optional[str] = ..., name: _Optional[str] = ..., new_name: _Optional[str] = ...) -> None: ...

class ChangePresetResponse(_message.Message):
    __slots__ = ("preset", "trash_path")
    PRESET_FIELD_NUMBER: _ClassVar[int]
    TRASH_PATH_FIELD_NUMBER: _ClassVar[int]
    preset: Preset
    trash_path: str
    def __init__(self, preset: _Optional[_Union[Preset, _Mapping]] = ..., trash_path: _Optional[str] = ...) -> None: ...

class DiffPresetsRequest(_message.Message):
    __slots__ = ("left", "right")
    LEFT_FIELD_NUMBER: _ClassVar[int]
    RIGHT_FIELD_NUMBER: _ClassVar[int]
    left: str
    right: str
    def __init__(self, left: _Optional[str] = ..., right: _Optional[str] = ...) -> None: ...

class DiffPresetsResponse(_message.Message):
    __slots__ = ("differences",)
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    differences: _containers.RepeatedCompositeFieldContainer[Difference]
    def __init__(self, differences: _Optional[_Iterable[_Union[Difference, _Mapping]]] = ...) -> None: ...

class Difference(_message.Message):
    __slots__ = ("name", "left", "right")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    RIGHT_FIELD_NUMBER: _ClassVar[int]
    name: str
    left: str
    right: str
    def __init__(self, name: _Optional[str] = ..., left: _Optional[str] = ..., right: _Optional[str] = ...) -> None: ...

class ExplainSettingsRequest(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: _kernel_pb2.RunRequest
    def __init__(self, run: _Optional[_Union[_kernel_pb2.RunRequest, _Mapping]] = ...) -> None: ...

class ExplainSettingsResponse(_message.Message):
    __slots__ = ("settings", "warnings")
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    settings: _containers.RepeatedCompositeFieldContainer[Setting]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, settings: _Optional[_Iterable[_Union[Setting, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class Setting(_message.Message):
    __slots__ = ("name", "value", "source", "title", "used", "below")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    BELOW_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    source: str
    title: str
    used: bool
    below: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ..., source: _Optional[str] = ..., title: _Optional[str] = ..., used: bool = ..., below: _Optional[_Iterable[str]] = ...) -> None: ...
