"""Serves an H.264 or H.265 file over RTSP on loopback, in a loop and at its own pace, until it is killed.

    /usr/bin/python3 rtsp_server.py PORT CLIP.h264|CLIP.h265 FPS [USER:PASSWORD] [--runs-on]

It runs under Debian's Python, for GStreamer's bindings. PORT 0 picks a free one; "ready PORT" tells it. The clip is
Annex B with access unit delimiters (x264's and x265's aud=1); it is served at /cam. A line "corrupt SHARE SEED" on
standard input flips random bytes in that share of the pictures from now on, and is answered with the number damaged
before.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstApp, GstRtspServer  # noqa: E402, F401 - GstApp gives appsrc its signals

RUNS_ON = "--runs-on" in sys.argv
"""A client finds the clip where a real camera would be, not at its beginning."""

_STARTED_S = time.monotonic()
_DELIMITERS = {"h264": b"\x00\x00\x00\x01\x09", "h265": b"\x00\x00\x00\x01\x46"}
_HEAD = 6  # bytes of a picture that are never damaged: its delimiter
_LAUNCH = (
    "( appsrc name=source is-live=true do-timestamp=true format=time"
    " caps=video/x-{codec},stream-format=byte-stream,alignment=au"
    " ! {codec}parse config-interval=-1 ! rtp{codec}pay name=pay0 pt=96 )"
)


class Damage:
    """Flips random bytes in a share of the pictures."""

    def __init__(self) -> None:
        self.share, self.count, self.chance = 0.0, 0, random.Random(0)

    def obey(self, line: str) -> None:
        """A line of standard input."""
        _, share, seed = line.split()
        print("damaged", self.count, flush=True)
        self.share, self.chance = float(share), random.Random(int(seed))

    def done_to(self, picture: bytes) -> bytes:
        if self.chance.random() >= self.share:
            return picture
        self.count += 1
        damaged = bytearray(picture)
        for _ in range(self.chance.randint(1, 8)):
            place = self.chance.randrange(_HEAD, len(damaged))
            damaged[place] ^= self.chance.randint(1, 255)
        return bytes(damaged)


class Feed:
    """Pushes one picture per tick into a stream, until its last client leaves."""

    def __init__(self, source: Any, pictures: list[bytes], fps: float, damage: Damage) -> None:
        self.source, self.pictures, self.damage = source, pictures, damage
        self.index = round((time.monotonic() - _STARTED_S) * fps) if RUNS_ON else 0
        self.duration = int(Gst.SECOND / fps)
        GLib.timeout_add(round(1000 / fps), self.push)

    def push(self) -> bool:
        buffer = Gst.Buffer.new_wrapped(self.damage.done_to(self.pictures[self.index % len(self.pictures)]))
        buffer.duration = self.duration
        self.index += 1
        return bool(self.source.emit("push-buffer", buffer) == Gst.FlowReturn.OK)


def demand_account(server: Any, factory: Any, user: str, password: str) -> None:
    """Basic authentication for everything below the factory."""
    auth, token, permissions = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken(), GstRtspServer.RTSPPermissions()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "viewer")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    permissions.add_role("viewer")
    for right in (GstRtspServer.RTSP_PERM_MEDIA_FACTORY_ACCESS, GstRtspServer.RTSP_PERM_MEDIA_FACTORY_CONSTRUCT):
        permissions.add_permission_for_role("viewer", right, True)
    factory.set_permissions(permissions)


def listen(source: Any, damage: Damage) -> bool:
    """Obey one line; False at the end of input."""
    line = source.readline()
    if line:
        damage.obey(line)
    return bool(line)


def main(port: str, clip: str, fps: str, account: str = "") -> None:
    """Serve until killed."""
    Gst.init(None)
    codec = Path(clip).suffix.removeprefix(".")
    delimiter = _DELIMITERS[codec]
    pictures = [delimiter + part for part in Path(clip).read_bytes().split(delimiter)[1:]]
    damage = Damage()
    server, factory = GstRtspServer.RTSPServer(), GstRtspServer.RTSPMediaFactory()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory.set_shared(True)
    factory.set_launch(_LAUNCH.format(codec=codec))

    def configure(_factory: Any, media: Any) -> None:
        Feed(media.get_element().get_by_name_recurse_up("source"), pictures, float(fps), damage)

    factory.connect("media-configure", configure)
    if account:
        demand_account(server, factory, *account.split(":", 1))
    server.get_mount_points().add_factory("/cam", factory)
    if not server.attach(None):
        sys.exit(f"port {port} cannot be bound")
    GLib.io_add_watch(sys.stdin, GLib.PRIORITY_DEFAULT, GLib.IOCondition.IN, lambda source, _: listen(source, damage))
    print("ready", server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(*(word for word in sys.argv[1:] if word != "--runs-on"))
