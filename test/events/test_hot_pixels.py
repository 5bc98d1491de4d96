import numpy as np
import pytest

from rehdr_ros.errors import InputError
from rehdr_ros.events import Events, HotPixels
from rehdr_ros.events.hot_pixels import find_hot_pixels
from rehdr_ros.recordings import BagRecording

S = 10**9
SIZE = (48, 32)


def background(rng, seconds, rate=2.0):
    """Events everywhere, at `rate` Hz a pixel."""
    count = rng.poisson(rate * seconds * SIZE[0] * SIZE[1])
    return rng.integers(0, SIZE[0], count), rng.integers(0, SIZE[1], count)


def pixel(x, y, rate, seconds):
    return np.full(int(rate * seconds), x), np.full(int(rate * seconds), y)


def watch(hot, parts, start, seconds, rng):
    """Ten updates a second."""
    for k in range(int(seconds * 10)):
        x, y = (np.concatenate(columns) for columns in zip(*(part(0.1) for part in parts), strict=True))
        order = rng.permutation(len(x))
        hot.update(Events(np.zeros(len(x)), x[order], y[order], np.zeros(len(x))), start + k * S // 10)


def test_a_pixel_that_fires_alone_is_found_and_one_that_recovers_is_released():
    rng = np.random.default_rng(0)
    hot = HotPixels(*SIZE)
    scene = [lambda s: background(rng, s), lambda s: pixel(20, 10, 100, s)]
    watch(hot, scene, 0, 1.5, rng)
    assert not hot.mask.any() and hot.version == 0
    watch(hot, scene, 2 * S, 4, rng)
    assert np.argwhere(hot.mask).tolist() == [[10, 20]] and hot.version == 1
    watch(hot, scene[:1], 6 * S, 40, rng)
    assert not hot.mask.any() and hot.version == 2


def test_edges_lamps_and_quiet_pixels_are_no_defects():
    rng = np.random.default_rng(1)
    hot = HotPixels(*SIZE)

    def edge(seconds):
        x = np.arange(48).repeat(int(300 * seconds))
        return x, np.full(len(x), 15)

    def lamp(seconds):
        y, x = np.mgrid[5:8, 30:33]
        return x.ravel().repeat(int(500 * seconds)), y.ravel().repeat(int(500 * seconds))

    watch(hot, [lambda s: background(rng, s, 0.2), edge, lamp, lambda s: pixel(3, 3, 10, s)], 0, 6, rng)
    assert not hot.mask.any()


def test_in_a_corner_and_in_a_pair():
    rng = np.random.default_rng(2)
    hot = HotPixels(*SIZE)
    defects = [(0, 0), (47, 31), (20, 20), (21, 20)]
    sources = [lambda s: background(rng, s), *(lambda s, d=d: pixel(*d, 200, s) for d in defects)]
    watch(hot, sources, 0, 5, rng)
    assert {(x, y) for y, x in np.argwhere(hot.mask)} == set(defects)


def test_a_busy_scene_hides_no_defect_and_is_none_itself():
    rng = np.random.default_rng(3)
    hot = HotPixels(*SIZE)
    watch(hot, [lambda s: background(rng, s, 60), lambda s: pixel(9, 9, 1000, s)], 0, 5, rng)
    assert np.argwhere(hot.mask).tolist() == [[9, 9]]


@pytest.mark.parametrize("pause", [10, 300, 3600])
def test_a_pause_neither_hides_a_defect_nor_slows_its_discovery(pause):
    rng = np.random.default_rng(4)
    scene = [lambda s: background(rng, s), lambda s: pixel(20, 10, 100, s)]
    hot = HotPixels(*SIZE)
    hot.update(Events.empty(), 1)  # as a warm-up does
    watch(hot, scene, pause * S, 4, rng)
    assert hot.mask[10, 20]
    watch(hot, scene, (2 * pause + 10) * S, 2, rng)
    assert hot.mask[10, 20]


def test_events_outside_and_times_that_step_back_do_no_harm():
    hot = HotPixels(*SIZE)
    outside = Events(np.zeros(70), np.full(70, 60000), np.full(70, 60000), np.zeros(70))
    for t in (10 * S, 5 * S, 7 * S, 6 * S, 20 * S):
        hot.update(outside, t)
        hot.update(Events.empty(), t)
    assert not hot.mask.any()


def test_the_defects_of_a_recorded_sensor_are_those_of_its_whole_recording(shared):
    from rehdr_ros.events import make_decoder

    decoder, hot = make_decoder("libcaer", 640, 480), HotPixels(640, 480)
    counts = np.zeros((480, 640))
    for packet in BagRecording(shared / "data/bags/libcaer_640x480_rollover").packets():
        events = decoder.decode(packet)
        np.add.at(counts, (events.y, events.x), 1)
        for loop in range(3):  # as if it went on
            hot.update(events, packet.stamp_ns + loop)
    hot.update(Events.empty(), packet.stamp_ns + 2 * S)
    strongest = counts > 400
    assert find_hot_pixels(counts / 2)[strongest].all() and strongest.sum() > 10
    assert hot.mask[strongest].all()


@pytest.mark.parametrize("threshold", [1.0, 0.0, -3.0, float("nan")])
def test_a_threshold_that_would_take_everything_is_refused(threshold):
    with pytest.raises(InputError, match="hot_pixel_threshold"):
        HotPixels(*SIZE, threshold)
