"""The process that has the device: ``python -m spillwatch.model.device_worker``, started by model/device.py.

Nothing of the device's driver is ever in the process that watches: a driver may hang, crash, or fail once and for all
for the process that used it, and then only a new process gets the device back.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import safetensors.numpy

from spillwatch.model.architecture import Architecture
from spillwatch.model.device import Layout, Order, first_line

if TYPE_CHECKING:
    from spillwatch.model.device_engine import DeviceEngine


def serve(order: Order, channel: socket.socket, memory: mmap.mmap, weights: bytes) -> None:
    """Say what was made ready, then answer each number of wells with itself once their scores are there.

    Ends when nobody is at the other end any more, or with the first failure, which is told.
    """
    try:
        if refusal := _refusal(order.device):
            _tell(channel, refused=refusal)
            return
        engine = _engine(order, memory, weights)
        _tell(channel, ready=engine.facts)
        while asked := channel.recv(64):
            engine.run(int(asked))
            channel.send(asked)
    except Exception as exc:  # noqa: BLE001 - of a driver, whatever it is; the parent tells people
        _tell(channel, failed=first_line(exc))


def _engine(order: Order, memory: mmap.mmap, weights: bytes) -> DeviceEngine:
    from spillwatch.model.device_engine import DeviceEngine, load

    network = load(Architecture(**order.architecture), safetensors.numpy.load(weights))
    pixels, scores = Layout(order.most).views(memory)
    return DeviceEngine(network, order.device, pixels=pixels, scores=scores, plain=order.plain)


def _refusal(device: str) -> str | None:
    """Why there is no use in trying again."""
    import torch

    if device != "cuda" or torch.cuda.is_available():
        return None
    return "torch finds no CUDA GPU" + (", since it is a build without CUDA" if torch.version.cuda is None else "")


def _tell(channel: socket.socket, **what: object) -> None:
    with suppress(OSError):
        channel.send(json.dumps(what).encode())


def main() -> None:
    """Take up what the parent hands over: an order, and numbers of open files."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # systemd sends it to all: the parent ends this process, when done
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    order = Order(**json.loads(sys.argv[1]))
    channel = socket.socket(fileno=order.channel)
    memory = mmap.mmap(order.memory, Layout(order.most).bytes)
    serve(order, channel, memory, os.pread(order.weights, os.fstat(order.weights).st_size, 0))


if __name__ == "__main__":
    main()
