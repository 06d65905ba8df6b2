"""A real RTSP server on loopback, which can be killed, frozen and started again.

    python -m tools.rig.rtsp VIDEO [--port 8554]

serves a video over and over, as a camera would, until Ctrl-C: for the tutorial.
"""

from __future__ import annotations

import selectors
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Self

import av
import click

from tools.rig import MissingError, RigError, program

_PYTHON = "/usr/bin/python3"
_NEEDS = "import gi; gi.require_version('GstRtspServer', '1.0'); gi.require_version('GstApp', '1.0')"
_SCRIPT = Path(__file__).with_name("rtsp_server.py")


def annex_b(video: Path, out: Path) -> Path:
    """A video as the server wants it: H.264 with a delimiter before each picture and a key frame every 12."""
    encode = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-x264-params", "aud=1:keyint=12"]
    command = [program("ffmpeg"), "-y", "-v", "error", "-i", video, *encode, "-crf", "18", "-f", "h264", out]
    subprocess.run([str(word) for word in command], check=True)
    return out


def check_installed() -> None:
    """MissingError without GStreamer's RTSP server."""
    if subprocess.run([_PYTHON, "-c", _NEEDS], capture_output=True, check=False).returncode:
        raise MissingError(
            "no GStreamer RTSP server (Debian: apt install python3-gi gir1.2-gst-rtsp-server-1.0"
            " gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-rtsp)"
        )


class RtspServer:
    """Serves a clip of ``annex_b``, or one of its kind in H.265; the port stays the same over restarts.

    It starts at the beginning for each first client; with ``runs_on`` it is where a real camera would be.
    """

    def __init__(self, clip: Path, *, fps: float = 25, account: str = "", runs_on: bool = False) -> None:
        self.clip, self.fps, self.account, self.runs_on = clip, fps, account, runs_on
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RigError("the RTSP server does not run")
        return self._process.pid

    def url(self, account: str = "", path: str = "cam") -> str:
        return f"rtsp://{account + '@' if account else ''}127.0.0.1:{self.port}/{path}"

    def start(self) -> None:
        command = [_PYTHON, str(_SCRIPT), str(self.port), str(self.clip), str(self.fps), self.account]
        command += ["--runs-on"] * self.runs_on
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        line = self._hear()
        if not line.startswith("ready "):
            self.kill()
            raise RigError(f"the RTSP server did not start, it said: {line}")
        self.port = int(line.split()[1])

    def _hear(self) -> str:
        if self._process is None or self._process.stdout is None:
            return "nothing"
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            return self._process.stdout.readline() if selector.select(timeout=15) else "nothing"

    def corrupt(self, *, share: float, seed: int) -> int:
        """Flip random bytes in this share of the pictures from now on; how many were damaged before."""
        if self._process is None or self._process.stdin is None:
            raise RigError("the RTSP server does not run")
        self._process.stdin.write(f"corrupt {share} {seed}\n")
        self._process.stdin.flush()
        while not (line := self._hear()).startswith("damaged "):  # GStreamer complains between
            if line in ("", "nothing"):
                raise RigError("the RTSP server does not answer")
        return int(line.split()[1])

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def freeze(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        check_installed()
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()


@click.command()
@click.argument("video", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--port", default=8554, show_default=True, type=click.IntRange(1, 65535))
def main(video: Path, port: int) -> None:
    """Serve VIDEO over RTSP on this machine, over and over, until Ctrl-C."""
    with av.open(str(video)) as container:
        fps = float(container.streams.video[0].average_rate or 25)
    with tempfile.TemporaryDirectory() as folder:
        server = RtspServer(annex_b(video, Path(folder) / "clip.h264"), fps=fps)
        server.port = port
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the server as Ctrl-C does
        try:
            with server:
                click.echo(f"{server.url()} ({fps:g} frames per second)")
                signal.pause()
        except RigError as exc:
            raise click.ClickException(str(exc)) from exc
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
