from dataclasses import replace

import numpy as np
import pytest

from rehdr_ros.events import Events
from rehdr_ros.reconstruction.event_image import event_image

S = 1_000_000_000


@pytest.fixture
def grid():
    """Five bins of a few events: many ON in one pixel, many OFF in another, and one that both cancel in."""
    grid = np.zeros((5, 4, 6), np.float32)
    grid[:, 1, 2], grid[:, 2, 3], grid[0, 3, 3], grid[4, 3, 3] = 2, -2, 3, -3
    return grid


def test_on_is_red_off_is_blue_and_no_events_are_white(grid):
    picture = event_image(grid)
    assert (picture.shape, picture.dtype) == ((4, 6, 3), np.uint8)
    assert picture[1, 2].tolist() == [255, 0, 0]
    assert picture[2, 3].tolist() == [0, 0, 255]
    picture[1, 2] = picture[2, 3] = 255
    assert (picture == 255).all()


def test_a_single_event_is_paler_than_many(grid):
    grid[:, 0, 0] = 0.2
    red, green, blue = event_image(grid)[0, 0]
    assert red == 255 and 100 < green == blue < 200


@pytest.mark.parametrize(
    ("dtype", "white"), [(np.uint8, 255), (np.uint16, 4095), (np.uint16, 65535), (np.float32, 1.0)]
)
@pytest.mark.parametrize("colour", [False, True])
def test_the_frame_lies_below_in_grey_whatever_its_type(grid, dtype, white, colour):
    frame = np.zeros((4, 6), dtype)
    frame[:, 3:] = white
    picture = event_image(grid, np.stack([frame] * 3, 2) if colour else frame, white)
    assert picture[1, 2].tolist() == [255, 0, 0] and picture[2, 3].tolist() == [0, 0, 255]
    dark, light = picture[0, 0], picture[0, 5]
    assert len(set(dark)) == len(set(light)) == 1
    assert 50 < dark[0] < 150 and light[0] == 255


def test_a_broken_float_frame_is_shown_too(grid):
    frame = np.full((4, 6), np.nan, np.float32)
    frame[0, 0] = np.inf
    assert event_image(grid, frame, 1.0)[0, 0, 0] == 255


@pytest.fixture
def shown(make_pipeline, grey):
    """A function: the pipeline's last of two frames, 0.1 s apart, after ten ON events at x = 2, y = 1."""

    def shown(**config):
        pipeline = make_pipeline(**config)
        pipeline.add_events(Events(S + 5_000_000 * np.arange(1, 11), *(np.full(10, v) for v in (2, 1, 1))))
        pipeline.add_frame(S, grey())
        pipeline.add_frame(S + 100_000_000, grey())
        return list(pipeline.take(flush=True))[-1]

    return shown


def test_a_frame_has_no_event_image_unless_asked_for(shown):
    frame = shown()
    assert frame.event_image is None
    assert "event_image" not in frame.info.durations


@pytest.mark.parametrize(
    ("config", "at"),
    [
        ({}, (1, 2)),
        ({"registration": "homography", "homography": (1, 0, 3, 0, 1, 2, 0, 0, 1)}, (3, 5)),
        ({"event_time_offset": -0.2}, None),
    ],
)
def test_the_event_image_shows_events_where_the_network_gets_them(shown, config, at):
    picture = shown(event_image=True, **config).event_image
    coloured = np.argwhere(np.ptp(picture.astype(int), axis=2) > 0).tolist()
    assert coloured == ([list(at)] if at else [])
    if at:
        assert picture[at].tolist() == [255, 0, 0]


def test_the_event_image_may_be_asked_for_while_frames_go(make_pipeline, grey):
    pipeline = make_pipeline()
    for k in range(2):
        pipeline.add_frame(k * S, grey())
        (frame,) = pipeline.take(flush=True)
        assert (frame.event_image is not None) == bool(k)
        pipeline.configure(replace(pipeline.config, event_image=True))
