"""What a shadow model costs a frame, beside the frame's own way through the pipeline, in one run on one core.

python -m tools.shadow_cost ../shared/clips/line_normal.mp4
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from spillwatch import build
from spillwatch.config import DetectionSettings, ModelSettings
from spillwatch.shadow import Shadow
from spillwatch.sources.file import FileSource
from spillwatch.truth import wells_of_truth
from spillwatch.watch.contest import Contest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path, help="with its truth beside it")
    clip = parser.parse_args().clip
    build.one_core_each()
    wells, levels = wells_of_truth(clip.with_suffix(".json")), DetectionSettings()
    live, other = (build.judge(ModelSettings(device="cpu")) for _ in range(2))
    other = replace(other, bundle=replace(other.bundle, name="candidate"))
    pipeline = build.pipeline("bench", wells, levels, site=build.Site(live), media_clock=True)
    contest = Contest(wells.ids, build.detector(len(wells), other, levels))
    shadow = Shadow(other, live, [(pipeline, contest)])
    took: dict[str, list[float]] = {"the pipeline": [], "handing over": [], "the shadow": []}
    with FileSource(clip) as source:
        for frame in source:
            began = time.perf_counter()
            events = pipeline.step(frame)
            stepped = time.perf_counter()
            shadow.look(pipeline, frame, events)
            handed = time.perf_counter()
            shadow.work()
            ends = (stepped, handed, time.perf_counter())
            for seconds, begin, end in zip(took.values(), (began, *ends), ends, strict=False):
                seconds.append(end - begin)
    for name, seconds in took.items():
        low, middle = np.quantile(seconds, [0.05, 0.5]) * 1000
        print(f"{name}: {low:.2f} ms at best (5 %), {middle:.2f} ms in the median, {len(wells)} wells")


if __name__ == "__main__":
    main()
