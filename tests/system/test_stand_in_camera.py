"""The tutorial's stand-in camera."""

from __future__ import annotations

import itertools
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from spillwatch.config import CameraSettings
from spillwatch.errors import SourceError
from spillwatch.sources.rtsp import RtspSource
from tests.support.clips import moving_square, write_clip
from tools.rig import free_port, program
from tools.rig.rtsp import check_installed

if TYPE_CHECKING:
    from pathlib import Path


def test_it_serves_a_video_over_and_over_until_it_is_ended(tmp_path: Path) -> None:
    program("ffmpeg")
    check_installed()
    video, port = write_clip(tmp_path / "line.mp4", moving_square(24), fps=25), free_port()
    command = [sys.executable, "-m", "tools.rig.rtsp", video, "--port", str(port)]
    camera = CameraSettings.model_validate(
        {"id": "table", "kind": "rtsp", "wells": "w.toml", "url": f"rtsp://127.0.0.1:{port}/cam"}
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
        assert served.stdout is not None
        assert served.stdout.readline() == f"rtsp://127.0.0.1:{port}/cam (25 frames per second)\n"
        with RtspSource(camera) as source:
            assert len(list(itertools.islice(source, 40))) == 40
        served.terminate()
    assert served.returncode == 0
    with pytest.raises(SourceError, match="refuses the connection"), RtspSource(camera):
        pass
