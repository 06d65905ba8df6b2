"""What comes between the scene and the sensor: grease that puts the lens out of focus, a cloth over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from line.layout import REFERENCE_WIDTH

if TYPE_CHECKING:
    from line.layout import Layout

U8 = npt.NDArray[np.uint8]

GREASE = 6.0  # sigma of the blur in pixels of the reference width: a well's shape is left, its surface is not
CLOTH = (96, 92, 84)
FOLDS = 14.0  # grey levels; so near to the lens they are soft


class Lens:
    """Draws what hides a whole picture."""

    def __init__(self, layout: Layout, rng: np.random.Generator) -> None:
        self._sigma = GREASE * layout.width / REFERENCE_WIDTH
        folds = cv2.resize(rng.normal(0, FOLDS, (3, 4)), (layout.width, layout.height), interpolation=cv2.INTER_CUBIC)
        self._cloth = np.clip(np.array(CLOTH) + folds[..., None], 0, 255).astype(np.uint8)

    def greased(self, picture: U8) -> U8:
        """The scene through a lens that is out of focus."""
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), self._sigma), np.uint8)

    def covered(self, picture: U8) -> U8:
        """The scene through a cloth that lets a little of its light through."""
        return np.asarray(cv2.addWeighted(self._cloth, 0.95, self.greased(picture), 0.05, 0), np.uint8)
