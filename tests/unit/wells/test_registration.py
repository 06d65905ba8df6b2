"""A drawn table whose wells are all alike, seen by a camera that is knocked about."""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from spillwatch.errors import WellsError
from spillwatch.records import U8, Alignment, Frame, Planes, Preprocessing, Wells
from spillwatch.wells.cropping import Cropper
from spillwatch.wells.registration import FOLLOWED, Registrar
from tests.support.simulated import START

PITCH = (77, 90)  # pixels from a well to its neighbours, which is what must not be taken for no move at all
COLUMNS, ROWS = 12, 5
LEFT, TOP = 520, 300
WIDTH, HEIGHT = 1920, 1200


def lattice() -> Wells:
    """Five rows of twelve."""
    centres = np.array([(LEFT + PITCH[0] * i, TOP + PITCH[1] * j) for j in range(ROWS) for i in range(COLUMNS)])
    count = len(centres)
    ids = tuple(str(i + 1) for i in range(count))
    return Wells(ids, centres.astype(np.float64), np.full((count, 2), (46.0, 28.0)), np.ones(count, np.bool_))


@functools.cache
def draw_table() -> U8:
    """(H, W) uint8: identical wells on a plain plate on a plain floor, so that only its edges tell pitches apart."""
    picture = np.full((HEIGHT, WIDTH), 45, np.uint8)
    right, bottom = LEFT + PITCH[0] * (COLUMNS - 1), TOP + PITCH[1] * (ROWS - 1)
    cv2.rectangle(picture, (LEFT - 90, TOP - 70), (right + 90, bottom + 70), 125, -1)
    cv2.rectangle(picture, (LEFT - 200, TOP + 120), (LEFT - 90, TOP + 190), 165, -1)  # the launder that feeds it
    for x, y in lattice().centres.astype(int):
        cv2.rectangle(picture, (x - 12, y), (x + 12, y + 40), 100, -1)
        cv2.ellipse(picture, ((float(x), float(y)), (56, 36), 0), 95, -1)
        cv2.ellipse(picture, ((float(x), float(y)), (46, 28), 0), 150, -1)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.2), np.uint8)


@functools.cache
def noise() -> npt.NDArray[np.int16]:
    """A sensor's, of 3 grey levels; each frame takes another part of it."""
    grain = np.random.default_rng(6).standard_normal((HEIGHT + 64, WIDTH + 64), np.float32)
    return np.rint(3 * grain).astype(np.int16)


@dataclass
class Camera:
    """Gives frames of the table; ``rate`` is frames per second."""

    rate: float = 5.0
    noisy: bool = True
    table: U8 = field(default_factory=draw_table)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(5))
    frames: int = 0

    def see(self, move: tuple[float, float], *, turn_deg: float = 0.0) -> U8:
        matrix = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), turn_deg, 1.0)
        matrix[:, 2] += np.array(move)
        moved = cv2.warpAffine(
            self.table, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(moved, np.uint8)

    def frame(self, luma: U8) -> Frame:
        left, top = self.rng.integers(0, 64, 2)
        grain = noise()[top : top + luma.shape[0], left : left + luma.shape[1]]
        noisy = np.asarray(cv2.add(luma, grain, dtype=cv2.CV_8U), np.uint8) if self.noisy else luma
        chroma = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
        self.frames += 1
        return Frame("cam", START, self.frames / self.rate, Planes(y=noisy, u=chroma, v=chroma))

    def take(self, *move: float, turn_deg: float = 0.0) -> Frame:
        return self.frame(self.see((move[0], move[1]), turn_deg=turn_deg))


@pytest.fixture
def camera() -> Camera:
    return Camera()


@functools.cache
def fresh() -> Registrar:
    return Registrar(lattice(), draw_table())


def settled(camera: Camera) -> Registrar:
    """A registrar that has seen the table in its place."""
    registrar = copy.deepcopy(fresh())
    assert registrar(camera.take(0, 0)).trusted
    return registrar


def off(found: Alignment, *move: float) -> float:
    return float(np.hypot(found.dx - move[0], found.dy - move[1]))


def test_vibration_is_measured_to_a_tenth_of_a_pixel(camera: Camera) -> None:
    registrar = settled(camera)
    moves = camera.rng.uniform(-2.1, 2.1, (20, 2))
    errors = []
    for x, y in moves:
        found = registrar(camera.take(x, y))
        assert found.trusted
        errors.append(off(found, x, y))
    assert np.sqrt(np.mean(np.square(errors))) <= 0.1


@pytest.mark.parametrize("length", [5, 20, 50, 96])
def test_a_knock_of_up_to_five_percent_is_followed_at_once(camera: Camera, length: float) -> None:
    registrar = settled(camera)
    for angle in camera.rng.uniform(0, 2 * np.pi, 3):
        move = length * np.cos(angle), length * np.sin(angle)
        found = registrar(camera.take(*move))
        assert found.trusted
        assert off(found, *move) <= 0.3


@pytest.mark.parametrize("pitches", [(1, 0), (-1, 0), (0, 1), (0, -1), (0.5, 0)])
def test_a_move_by_a_pitch_of_the_wells_is_not_mistaken_for_none(camera: Camera, pitches: tuple[float, float]) -> None:
    registrar = settled(camera)
    move = pitches[0] * PITCH[0], pitches[1] * PITCH[1]
    found = registrar(camera.take(*move))
    assert found.trusted
    assert off(found, *move) <= 0.3


def test_a_move_by_a_pitch_is_not_mistaken_where_it_may_not_yet_be_searched(camera: Camera) -> None:
    camera.rate = 25
    registrar = settled(camera)
    assert not registrar(camera.frame(np.full((HEIGHT, WIDTH), 16, np.uint8))).trusted  # which used up the search
    for _ in range(3):
        found = registrar(camera.take(PITCH[0], 0))
        assert not found.trusted or off(found, PITCH[0], 0) <= 0.3
    for _ in range(5):
        found = registrar(camera.take(PITCH[0], 0))
    assert found.trusted
    assert off(found, PITCH[0], 0) <= 0.3


@pytest.mark.parametrize("move", [(2 * PITCH[0], 0), (130, 0), (0, 2 * PITCH[1]), (-90, -90), (300, 200)])
def test_a_camera_moved_too_far_is_not_trusted(camera: Camera, move: tuple[float, float]) -> None:
    assert np.hypot(*move) > FOLLOWED * WIDTH
    registrar = settled(camera)
    for _ in range(4):
        found = registrar(camera.take(*move))
        assert not found.trusted
        assert off(found, 0, 0) <= 0.3, "the last place that could be trusted"
    assert registrar(camera.take(1, 1)).trusted, "and back again"


def test_a_move_that_takes_wells_out_of_the_frame_is_not_trusted(camera: Camera) -> None:
    wells = lattice()
    up = np.roll(camera.table, -(TOP - 60), axis=0)
    camera.table = np.ascontiguousarray(up)
    near = Wells(wells.ids, wells.centres - (0, TOP - 60), wells.sizes, wells.in_service)
    registrar = Registrar(near, camera.table)
    assert registrar(camera.take(0, -40)).trusted
    assert not registrar(camera.take(0, -60)).trusted


@pytest.mark.parametrize("gain", [0.6, 1.4])
def test_a_lighting_step_moves_nothing(camera: Camera, gain: float) -> None:
    registrar = settled(camera)
    found = registrar(camera.frame(np.clip(camera.see((2, -1)) * gain, 0, 255).astype(np.uint8)))
    assert found.trusted
    assert off(found, 2, -1) <= 0.15


@pytest.mark.parametrize("move", [(0.7, 0.2), (-30, 25), (PITCH[0], 0)])
@pytest.mark.parametrize("what", ["dark", "saturated", "person", "half hidden", "steam", "noise", "upside down"])
def test_what_cannot_be_seen_is_never_wrong_and_trusted(camera: Camera, what: str, move: tuple[float, float]) -> None:
    registrar = settled(camera)
    seen = camera.see(move).astype(np.float32)
    if what == "dark":
        seen = 16 + 0.03 * seen
    elif what == "saturated":
        seen = seen * 5
    elif what == "person":
        seen[200:720, 800:930] = 30
    elif what == "half hidden":
        seen[:, 300:960] = 60
    elif what == "steam":
        cloud = camera.rng.uniform(0.1, 0.6, (6, 10)).astype(np.float32)
        alpha = cv2.resize(cloud, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        seen = seen * (1 - alpha) + 170 * alpha
    elif what == "noise":
        seen = camera.rng.uniform(0, 255, seen.shape).astype(np.float32)
    else:
        seen = seen[::-1, ::-1]
    picture = np.clip(seen, 0, 255).astype(np.uint8)
    answers = [registrar(camera.frame(picture)) for _ in range(2)]
    assert all(not found.trusted or off(found, *move) <= 1.0 for found in answers)
    if what in {"person", "steam"}:
        assert answers[-1].trusted
    if what in {"noise", "upside down", "dark"}:
        assert not answers[-1].trusted


def test_a_slight_turn_is_borne_and_a_greater_one_is_not_trusted(camera: Camera) -> None:
    registrar = settled(camera)
    assert registrar(camera.take(0, 0, turn_deg=0.1)).trusted
    assert not registrar(camera.take(0, 0, turn_deg=0.6)).trusted  # 4 px at the outermost wells
    assert registrar(camera.take(0, 0)).trusted


def test_a_frozen_picture_stays_where_it_is(camera: Camera) -> None:
    registrar = settled(camera)
    frame = camera.take(1, 2)
    first, second = registrar(frame), registrar(frame)
    assert first.trusted
    assert second.trusted
    assert off(second, first.dx, first.dy) <= 0.1


def test_without_a_reference_the_first_frame_that_shows_something_is_it(camera: Camera) -> None:
    registrar = Registrar(lattice(), None)
    assert not registrar(camera.frame(np.full((HEIGHT, WIDTH), 20, np.uint8))).trusted
    assert registrar(camera.take(10, 0)) == Alignment(0.0, 0.0, trusted=True, response=1.0)
    assert off(registrar(camera.take(13, 0)), 3, 0) <= 0.2


def test_a_frame_of_another_size_is_not_trusted(camera: Camera) -> None:
    registrar = settled(camera)
    frame = camera.take(0, 0)
    half = Planes(y=frame.planes.y[::2, ::2], u=frame.planes.u[::2, ::2], v=frame.planes.v[::2, ::2])
    found = registrar(Frame("cam", START, 9.0, half))
    assert not found.trusted
    assert found.reason is not None
    assert found.reason.startswith("the picture is 960x600, but its wells were located on 1920x1200: set the camera's")
    assert registrar(camera.take(0, 0)).trusted  # and back again


def test_a_reference_that_shows_nothing_is_refused() -> None:
    with pytest.raises(WellsError, match="shows too little of the table"):
        Registrar(lattice(), np.full((HEIGHT, WIDTH), 90, np.uint8))


def test_padded_read_only_rows_are_understood(camera: Camera) -> None:
    registrar = settled(camera)
    luma = np.pad(camera.take(3, 2).planes.y, ((0, 0), (0, 64)))[:, :WIDTH]
    luma.flags.writeable = False
    chroma = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
    found = registrar(Frame("cam", START, 9.0, Planes(y=luma, u=chroma, v=chroma)))
    assert found.trusted
    assert off(found, 3, 2) <= 0.2


def test_wells_are_cropped_where_they_have_gone(camera: Camera) -> None:
    camera.noisy = False
    crop = Cropper(lattice(), Preprocessing())
    here = crop(camera.take(0, 0)).astype(int)
    assert np.abs(crop(camera.take(7, -4), (7.0, -4.0)) - here).mean() < 0.01
    assert np.abs(crop(camera.take(7.4, -4.3), (7.4, -4.3)) - here).mean() < 1.5
    assert np.abs(crop(camera.take(7.4, -4.3)) - here).mean() > 5


def test_wells_that_have_left_the_frame_are_not_cropped(camera: Camera) -> None:
    crop = Cropper(lattice(), Preprocessing())
    with pytest.raises(WellsError, match="no longer sees all wells"):
        crop(camera.take(0, 0), (0.0, -290.0))
