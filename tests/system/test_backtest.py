"""Archives over many real processes: one killed in mid-run, the same bytes as from one process."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from tests.support.cluster import Cluster
from tools.rig import wait_until
from tools.rig.broker import Certificates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client

ROOT = Path(__file__).resolve().parents[2]
TABLES = ("clips", "spills", "alarms", "disturbances", "scores")
CLIPS = 8


def backtest(*words: str | Path, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    command = [Path(sys.executable).with_name("spillwatch"), "backtest", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two simulated clips, one with a spill, under many names; one cut short, one empty, one without wells."""
    folder = tmp_path_factory.mktemp("plant") / "archive"
    for spills, ending in enumerate((".mkv", ".mp4")):
        path = folder / f"cam{spills}/0{ending}"
        path.parent.mkdir(parents=True)
        words = ["--seed", "3", "--seconds", "6", "--size", "480x300", "--spills", str(spills)]
        subprocess.run([sys.executable, ROOT / "tools/simulate_line.py", path, *words], check=True, capture_output=True)
        (path.parent / "0.wells.toml").rename(path.parent / "wells.toml")
        for i in range(1, CLIPS // 2):
            for suffix in (ending, ".json"):
                shutil.copy2(path.with_suffix(suffix), path.with_name(f"{i}{suffix}"))
    video = (folder / "cam0/0.mkv").read_bytes()
    (folder / "cam0/cut.mkv").write_bytes(video[: len(video) // 2])
    (folder / "cam0/short.ts").write_bytes(b"")
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere/unknown.mkv").write_bytes(video)
    return folder


@pytest.fixture(scope="module")
def by_one(archive: Path) -> tuple[Path, int, str, str]:
    """What one process makes of the archive."""
    out = archive.parent / "one"
    return (
        out,
        *ended(backtest(archive, archive / "gone.mp4", "--out", out, "--workers", "1", "--budget", "1 per day")),
    )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster"), workers=4) as cluster:
        yield cluster


def tables(folder: Path) -> dict[str, bytes]:
    return {name: (folder / f"{name}.parquet").read_bytes() for name in TABLES}


def rows(folder: Path, name: str) -> list[dict[str, Any]]:
    return list(pq.read_table(folder / f"{name}.parquet").to_pylist())


def test_every_video_is_watched_or_named(by_one: tuple[Path, int, str, str]) -> None:
    out, code, said, errors = by_one
    clips = rows(out, "clips")
    assert code == 1, errors
    faults = {clip["video"]: clip["fault"] for clip in clips if clip["fault"]}
    assert set(faults) == {"archive/cam0/short.ts", "archive/cam0/cut.mkv", "archive/elsewhere/unknown.mkv", "gone.mp4"}
    assert all(fault in errors for fault in faults.values())
    assert "4 videos could not be watched to their end" in errors
    assert "Traceback" not in errors
    watched = [clip for clip in clips if clip["frames"]]
    assert len(watched) == CLIPS + 1, "and what could be read of the one that is cut short"
    assert [clip["spills"] for clip in watched] == [0] * 4 + [None] + [1] * 4
    assert sum(clip["missed"] or 0 for clip in clips) == sum(clip["false_alarms"] or 0 for clip in clips) == 0
    assert len(rows(out, "spills")) == 4
    (model,) = json.loads((out / "summary.json").read_text())["models"]
    counted = {key: model[key] for key in ("videos", "cut_short", "not_watched", "spill_count", "missed")}
    assert counted == {"videos": 9, "cut_short": 1, "not_watched": 3, "spill_count": 4, "missed": 0}
    assert said.splitlines()[1].startswith(model["model"])
    assert "5 normal videos: profiles/" in said
    assert len(list((out / "profiles").iterdir())) == 1


def busy(client: Client) -> dict[str, set[str]]:
    """Keys by the name of the worker that has them."""
    names = {address: worker["name"] for address, worker in client.scheduler_info(n_workers=-1)["workers"].items()}
    return {names[address]: set(keys) for address, keys in client.processing().items() if address in names}


def test_a_worker_killed_in_mid_run_loses_nothing_and_the_bytes_are_those_of_one_process(
    archive: Path, by_one: tuple[Path, int, str, str], cluster: Cluster, tmp_path: Path
) -> None:
    from distributed import Client

    out = tmp_path / "many"
    with Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(4, timeout=60)
        run = backtest(archive, archive / "gone.mp4", "--out", out, "--scheduler", cluster.address)
        wait_until(lambda: busy(client).get("w2"), within_s=60, what="w2 has work")
        cluster.workers["w2"].send_signal(signal.SIGSTOP)  # whatever it has in hand stays there
        wait_until(lambda: len(list((out / "pieces").glob("*.parquet"))) >= 2, within_s=60, what="others work on")
        victim = busy(client)["w2"]
        assert victim, "it was killed with work in hand"
        assert run.poll() is None, "in mid-run"
        cluster.workers["w2"].send_signal(signal.SIGKILL)
        code, _said, errors = ended(run)
        assert len(client.nthreads()) == 3
    assert code == 1, errors
    done = {path.stem for path in (out / "pieces").glob("*.parquet")}
    assert done == {path.stem for path in (by_one[0] / "pieces").glob("*.parquet")}
    assert victim & done, "what it had in hand was done by others"
    videos = [clip["video"] for clip in rows(out, "clips")]
    assert len(videos) == len(set(videos)) == CLIPS + 4
    assert tables(out) == tables(by_one[0])


def test_a_run_goes_on_where_it_was(
    archive: Path, by_one: tuple[Path, int, str, str], cluster: Cluster, tmp_path: Path
) -> None:
    out = tmp_path / "again"
    shutil.copytree(by_one[0], out)
    first, second, *_ = sorted((out / "pieces").iterdir())
    first.unlink()
    second.write_bytes(second.read_bytes()[:100])
    words = (archive, archive / "gone.mp4", "--out", out, "--scheduler", cluster.address)
    _code, _said, errors = ended(backtest(*words))
    assert f"{CLIPS + 1 - 2} pieces were done before" in errors
    assert "backtest.piece_unreadable" in errors
    assert tables(out) == tables(by_one[0])


def test_a_cluster_with_tls_by_its_own_settings(archive: Path, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path / "keys")
    prefix = "DASK_DISTRIBUTED__COMM__TLS__"
    environment = {f"{prefix}CA_FILE": str(certificates.ca)}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        environment |= {f"{prefix}{role}__CERT": str(certificates.server.cert)}
        environment |= {f"{prefix}{role}__KEY": str(certificates.server.key)}
    with Cluster(tmp_path / "cluster", workers=1, scheme="tls", environment=environment) as cluster:
        words = (archive / "cam1/0.mp4", "--wells", archive / "cam1/wells.toml", "--out", tmp_path / "out")
        code, _said, errors = ended(backtest(*words, "--scheduler", cluster.address, environment=environment))
        assert code == 0, errors
        assert "Traceback" not in errors
    assert rows(tmp_path / "out", "clips")[0]["missed"] == 0
