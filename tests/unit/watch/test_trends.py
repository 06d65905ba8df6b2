from __future__ import annotations

import numpy as np
import pytest

from spillwatch.watch.trends import Minute
from tests.support.past import START


def test_a_minute_keeps_peak_and_mean_of_log_scores_per_well() -> None:
    minute = Minute("table", ("a", "b", "c"))
    for scores in ([0.01, np.nan, np.nan], [0.1, 0.02, np.nan]):
        minute.add(np.array(scores, np.float32))
    taken = minute.take(START)
    assert taken
    assert np.exp(taken.peaks)[:2].tolist() == pytest.approx([0.1, 0.02])
    assert np.exp(taken.means)[:2].tolist() == pytest.approx([0.01**0.5 * 0.1**0.5, 0.02])
    assert np.isnan([taken.peaks[2], taken.means[2]]).all()


def test_a_blind_minute_is_no_minute() -> None:
    minute = Minute("table", ("a",))
    minute.add(np.array([np.nan], np.float32))
    assert minute.take(START) is None
    minute.add(np.array([0.5], np.float32))
    assert minute.take(START)
    assert minute.take(START) is None
