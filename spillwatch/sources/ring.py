"""The last seconds of a camera as it sent them: packets that are kept without being decoded."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spillwatch.records import EncodedClip

if TYPE_CHECKING:
    from spillwatch.records import EncodedPacket, EncodedStream


@dataclass(slots=True)
class _Group:
    """A key frame and the packets up to the next."""

    stream: EncodedStream
    packets: list[EncodedPacket] = field(default_factory=list)
    size: int = 0

    @property
    def began_s(self) -> float:
        return self.packets[0].time_s


class PacketRing:
    """Keeps at least ``seconds``, from a key frame on, but never more than ``most_bytes``; for any thread."""

    def __init__(self, *, seconds: float, most_bytes: int) -> None:
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._groups: deque[_Group] = deque()
        self._size = 0
        self._waits = True  # for a key frame

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        with self._lock:
            return self._size

    def add(self, stream: EncodedStream, packet: EncodedPacket) -> None:
        """The newest packet; each connection has a stream of its own."""
        with self._lock:
            follows = not self._waits and self._groups[-1].stream is stream
            if not (packet.key or follows):
                return
            if packet.key:
                self._groups.append(_Group(stream))
                self._waits = False
            newest = self._groups[-1]
            newest.packets.append(packet)
            newest.size += len(packet.data)
            self._size += len(packet.data)
            self._trim(packet.time_s - self._seconds)

    def _trim(self, oldest_s: float) -> None:
        while len(self._groups) > 1 and (self._groups[1].began_s <= oldest_s or self._size > self._most_bytes):
            self._size -= self._groups.popleft().size
        if self._size > self._most_bytes:  # a stream without key frames
            self._groups.clear()
            self._size, self._waits = 0, True

    def cut(self, *, from_s: float, at_s: float, until_s: float) -> EncodedClip | None:
        """From the last key frame before ``from_s`` to ``until_s``, of the connection that stood at ``at_s``."""
        with self._lock:
            seen = (group for group in self._groups if group.packets[-1].time_s >= from_s)
            groups = [group for group in seen if group.began_s <= until_s]
            if not groups:
                return None
            stream = next((group.stream for group in reversed(groups) if group.began_s <= at_s), groups[0].stream)
            packets = tuple(
                p for group in groups if group.stream is stream for p in group.packets if p.time_s <= until_s
            )
        return EncodedClip(stream, packets)
