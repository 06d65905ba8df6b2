"""How long to wait before the next try, by chance, so that many who miss one thing do not come back at once."""

from __future__ import annotations

import random


def pause_s(failures: int, *, first_s: float, least_s: float, most_s: float) -> float:
    """A pause after so many ``failures`` in a row, 1 or more, in seconds.

    Uniform from ``least_s`` to a limit that is ``first_s`` after the first, twice as much after each further one, and
    never more than ``most_s``.
    """
    limit_s = min(first_s * 2 ** min(failures - 1, 32), most_s)
    return random.uniform(least_s, limit_s)  # noqa: S311 - no secret
