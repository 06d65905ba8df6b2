"""What alarms weigh: their priorities, which of them call again, and when there are too many of them."""

from __future__ import annotations

from collections import deque

from spillwatch.records import Condition, Priority

PRIORITIES = {
    Condition.SPILL: Priority.HIGH,
    # A blind camera leaves up to 84 wells unwatched.
    Condition.CAMERA_LOST: Priority.HIGH,
    Condition.CAMERA_FROZEN: Priority.HIGH,
    Condition.CAMERA_DARK: Priority.HIGH,
    Condition.CAMERA_SATURATED: Priority.HIGH,
    Condition.CAMERA_SHIFTED: Priority.HIGH,
    Condition.CAMERA_BLURRED: Priority.HIGH,
    Condition.CAMERA_LATE: Priority.HIGH,
    # Whoever is not told of a painted spill will not be told of a real one either.
    Condition.SELF_TEST_FAILED: Priority.HIGH,
    Condition.COMMON_CAUSE: Priority.MEDIUM,
    Condition.OBSTRUCTED: Priority.MEDIUM,
    Condition.OVERLOAD: Priority.MEDIUM,
    # Alarms are still published, but would not survive a restart.
    Condition.STORAGE: Priority.MEDIUM,
}

CALLING_AGAIN = frozenset(condition for condition, priority in PRIORITIES.items() if priority == Priority.HIGH)
"""What is re-alarmed: a tool left before a well would otherwise make people shelve the well, and its spills with it."""

FLOOD_ALARMS, FLOOD_S = 10, 600.0
"""More alarms than this in so long are a flood: nobody can answer them one by one (EEMUA 191; ISA-18.2)."""


class FloodCounter:
    """The alarms of a whole site, to be shared by its cameras."""

    def __init__(self) -> None:
        self._raised_s: deque[float] = deque()

    def count(self, time_s: float) -> bool:
        """One more was raised; is this a flood?"""
        self._raised_s.append(time_s)
        while self._raised_s[0] <= time_s - FLOOD_S:
            self._raised_s.popleft()
        return len(self._raised_s) > FLOOD_ALARMS
