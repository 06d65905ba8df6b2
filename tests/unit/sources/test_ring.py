"""The ring of packets: what is kept, and what a clip is cut from."""

from __future__ import annotations

from fractions import Fraction

from spillwatch.records import EncodedPacket, EncodedStream
from spillwatch.sources.ring import PacketRing

FIRST, SECOND = (EncodedStream("h264", Fraction(1, 90_000), header) for header in (b"first", b"second"))


def packet(time_s: float, *, key: bool = False, size: int = 100) -> EncodedPacket:
    return EncodedPacket(bytes(size), int(time_s * 90_000), int(time_s * 90_000), time_s, key)


def filled(until: int, *, seconds: float = 10, most_bytes: int = 1_000_000, size: int = 100) -> PacketRing:
    """Ten packets a second, a key frame every second."""
    ring = PacketRing(seconds=seconds, most_bytes=most_bytes)
    for tenth in range(until * 10 + 1):
        ring.add(FIRST, packet(tenth / 10, key=tenth % 10 == 0, size=size))
    return ring


def span(ring: PacketRing, from_s: float, at_s: float, until_s: float) -> tuple[float, float] | None:
    clip = ring.cut(from_s=from_s, at_s=at_s, until_s=until_s)
    if clip is None:
        return None
    assert clip.packets[0].key
    return clip.packets[0].time_s, clip.packets[-1].time_s


def test_a_clip_begins_with_the_key_frame_before_what_was_asked_for() -> None:
    assert span(filled(20), 12.5, 15, 17.3) == (12, 17.3)


def test_what_is_older_is_forgotten_but_never_a_second_that_was_promised() -> None:
    ring = filled(60)
    assert span(ring, 0, 55, 60) == (50, 60)
    assert ring.size == 101 * 100


def test_it_never_holds_more_bytes_than_allowed() -> None:
    ring = filled(60, most_bytes=5000)
    assert ring.size <= 5000
    assert span(ring, 0, 60, 60) == (56, 60)


def test_a_stream_without_key_frames_is_given_up_until_the_next_one() -> None:
    ring = PacketRing(seconds=10, most_bytes=5000)
    ring.add(FIRST, packet(0, key=True))
    for second in range(1, 200):
        ring.add(FIRST, packet(second))
        assert ring.size <= 5000
    ring.add(FIRST, packet(200, key=True))
    assert span(ring, 190, 200, 200) == (200, 200)


def test_nothing_is_kept_before_the_first_key_frame_of_a_connection() -> None:
    ring = filled(5)
    ring.add(SECOND, packet(6))
    assert span(ring, 0, 5, 7) == (0, 5)


def test_a_clip_is_of_one_connection_the_one_that_saw_the_spill() -> None:
    ring = filled(10, seconds=60)
    for tenth in range(120, 200):
        ring.add(SECOND, packet(tenth / 10, key=tenth % 10 == 0))
    assert span(ring, 5, 9, 19) == (5, 10)
    assert span(ring, 5, 13, 19) == (12, 19)


def test_what_came_long_before_is_no_evidence() -> None:
    assert span(filled(10), 20, 25, 30) is None
