"""Work over real processes: retries, faults, and schedulers that cannot be had."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

import psutil
import pytest

from spillwatch.errors import SpreadingError
from spillwatch.footage import spreading
from spillwatch.footage.spreading import Crew, spread
from tests.support.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def doubtful(task: tuple[Path, int]) -> bytes:
    """Fails the first few times that it is tried; tries are counted by files."""
    folder, failures = task
    tries = len(list(folder.iterdir()))
    (folder / str(tries)).touch()
    if tries < failures:
        raise OSError("the share is away")
    return f"at try {tries + 1}".encode()


def listening(_task: None) -> set[str]:
    """Addresses on which this worker and its parent listen."""
    here = psutil.Process()
    return {
        connection.laddr.ip
        for process in (here, here.parent())
        if process
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }


def run(work: Callable[..., object], tasks: dict[str, object], crew: Crew) -> dict[str, object]:
    with closing(spread(work, tasks, crew)) as results:
        return dict(results)


def test_a_cluster_that_is_stopped_while_it_starts_says_only_that(monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import LocalCluster

    leave = LocalCluster.__exit__

    def close(cluster: LocalCluster, *exc: object) -> None:
        leave(cluster, *exc)
        raise AssertionError("Status.init")  # as it does of workers that were starting

    monkeypatch.setattr(LocalCluster, "__exit__", close)
    results = spread(doubtful, {}, Crew(workers=1))

    def interrupted(_self: object) -> None:
        raise KeyboardInterrupt("SIGTERM")

    monkeypatch.setattr("distributed.as_completed.count", interrupted)
    with pytest.raises(KeyboardInterrupt, match="SIGTERM"):
        next(results)


def test_a_task_is_tried_three_times_and_what_it_raises_is_handed_on(tmp_path: Path) -> None:
    for name in ("once", "twice", "always"):
        (tmp_path / name).mkdir()
    tasks: dict[str, object] = {name: (tmp_path / name, n) for n, name in enumerate(("once", "twice", "always"), 1)}
    tasks["always"] = (tmp_path / "always", 99)
    done = run(doubtful, tasks, Crew(workers=1))
    assert done["once"] == b"at try 2"
    assert done["twice"] == b"at try 3"
    assert isinstance(done["always"], OSError)
    assert str(done["always"]) == "the share is away"
    assert len(list((tmp_path / "always").iterdir())) == 1 + spreading.RETRIES


def test_processes_of_this_machine_listen_on_loopback_only() -> None:
    assert run(listening, {"a": None}, Crew(workers=1)) == {"a": {"127.0.0.1"}}


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense", "smoke://signals:1"])
def test_a_scheduler_that_does_not_answer_is_told_in_one_sentence(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spreading, "ANSWER_S", 0.5)
    with pytest.raises(SpreadingError, match=f"no Dask scheduler answers at '{address}'") as caught:
        run(listening, {"a": None}, Crew(scheduler=address))
    assert "\n" not in str(caught.value)


def test_a_scheduler_without_workers_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreading, "WORKERS_S", 0.5)
    with (
        Cluster(tmp_path, workers=0) as cluster,
        pytest.raises(SpreadingError, match=r"has no worker; start some with: dask worker tcp://127"),
    ):
        run(listening, {"a": None}, Crew(scheduler=cluster.address))


def test_a_scheduler_lost_in_mid_run_is_told_and_what_was_done_is_handed_on(tmp_path: Path) -> None:
    with (
        Cluster(tmp_path, workers=1) as cluster,
        closing(spread(time.sleep, {str(i): i for i in (0, 60)}, Crew(scheduler=cluster.address))) as results,
    ):
        assert next(results) == ("0", None)
        cluster.kill_scheduler()
        with pytest.raises(SpreadingError, match="the scheduler was lost in mid-run; what was finished is kept"):
            next(results)


def test_a_scheduler_elsewhere_without_tls_is_remarked_upon(
    monkeypatch: pytest.MonkeyPatch, log: list[dict[str, object]]
) -> None:
    monkeypatch.setattr(spreading, "ANSWER_S", 0.2)
    for address in ("tcp://192.0.2.1:8786", "tcp://127.0.0.1:1", "tls://127.0.0.1:1", "localhost:1"):
        with pytest.raises(SpreadingError):
            run(listening, {"a": None}, Crew(scheduler=address))
    assert [entry["scheduler"] for entry in log if entry["event"] == "spreading.unencrypted"] == [
        "tcp://192.0.2.1:8786"
    ]


@pytest.mark.parametrize("name", ["distributed", "pyarrow"])
def test_a_missing_package_is_one_sentence_with_its_mend(tmp_path: Path, name: str) -> None:
    code = f"import sys; sys.modules[{name!r}] = None; from spillwatch.cli import main; main()"
    command = [sys.executable, "-c", code, "backtest", tmp_path, "--out", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        f"spillwatch: backtest needs the package {name}, which is not installed; install it with: "
        "pip install 'spillwatch[archive]'\n"
    )
