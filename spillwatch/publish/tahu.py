"""Sparkplug B payloads: as much of the protobuf message of the Sparkplug 3.0 specification (chapter 6) as is needed.

Field numbers and data types are the specification's; fields that a host may send and nobody here reads are skipped by
protobuf itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


class Kind(IntEnum):
    """Data types of metrics."""

    INT64 = 4
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12


@dataclass(frozen=True, slots=True)
class Metric:
    """One named value, and when it became so; None is null."""

    name: str
    kind: Kind
    value: bool | int | float | str | None
    at: datetime


_FIELD = descriptor_pb2.FieldDescriptorProto
_FIELDS: dict[str, dict[str, tuple[int, int]]] = {
    "Payload": {
        "timestamp": (1, _FIELD.TYPE_UINT64),
        "metrics": (2, _FIELD.TYPE_MESSAGE),
        "seq": (3, _FIELD.TYPE_UINT64),
    },
    "Metric": {
        "name": (1, _FIELD.TYPE_STRING),
        "alias": (2, _FIELD.TYPE_UINT64),
        "timestamp": (3, _FIELD.TYPE_UINT64),
        "datatype": (4, _FIELD.TYPE_UINT32),
        "is_null": (7, _FIELD.TYPE_BOOL),
        "int_value": (10, _FIELD.TYPE_UINT32),
        "long_value": (11, _FIELD.TYPE_UINT64),
        "double_value": (13, _FIELD.TYPE_DOUBLE),
        "boolean_value": (14, _FIELD.TYPE_BOOL),
        "string_value": (15, _FIELD.TYPE_STRING),
    },
}
_VALUES = {
    Kind.INT64: "long_value",
    Kind.DOUBLE: "double_value",
    Kind.BOOLEAN: "boolean_value",
    Kind.STRING: "string_value",
}


def _payload_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="sparkplug_b.proto", package="spillwatch", syntax="proto2")
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            label = _FIELD.LABEL_REPEATED if field == "metrics" else _FIELD.LABEL_OPTIONAL
            message.field.add(name=field, number=number, type=kind, label=label)
            if kind == _FIELD.TYPE_MESSAGE:
                message.field[-1].type_name = ".spillwatch.Metric"
    # proto2's optional fields know whether they were set, and so does the specification's choice of values
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("spillwatch.Payload"))


Payload = _payload_class()


def encode(metrics: Iterable[Metric], *, at: datetime, seq: int | None) -> bytes:
    """A payload that is sent ``at``; only the death of a node has no ``seq``."""
    payload = Payload(timestamp=_ms(at))
    if seq is not None:
        payload.seq = seq
    for metric in metrics:
        told = payload.metrics.add(name=metric.name, timestamp=_ms(metric.at), datatype=int(metric.kind))
        if metric.value is None:
            told.is_null = True
        else:
            setattr(told, _VALUES[metric.kind], metric.value)
    return bytes(payload.SerializeToString())


def asks(payload: bytes, name: str) -> bool:
    """Whether a command sets the Boolean of this name; what is no payload asks nothing."""
    try:
        command = Payload.FromString(payload)
    except DecodeError:
        return False
    return any(metric.name == name and metric.boolean_value for metric in command.metrics)


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
