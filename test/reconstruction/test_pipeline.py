import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from rehdr_ros.events import Calibration, Camera, Events, Exposure, Frame
from rehdr_ros.network import CheckpointError
from rehdr_ros.reconstruction.tonemap import ToneMapper
from rehdr_ros.simulation import SimulationConfig, simulate

S = 1_000_000_000


def feed(pipeline, recording, packets=None):
    """The whole recording, in order; every HDR frame that comes out."""
    for stamp, image, events in recording:
        if packets is None:
            pipeline.add_events(events)
        else:
            for packet in packets[stamp]:
                pipeline.add_packet(packet)
        pipeline.add_frame(stamp, image)
        yield from pipeline.take()
    yield from pipeline.take(flush=True)


def assert_same(actual, expected):
    assert [f.stamp_ns for f in actual] == [f.stamp_ns for f in expected]
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(a.radiance, b.radiance)
        np.testing.assert_array_equal(a.tonemapped, b.tonemapped)
        assert a.info.events == b.info.events


@pytest.fixture
def encoded(recording, packets):
    """stamp -> packets; one encoder for all, as in a camera."""
    parts = list(packets([events for _, _, events in recording]))
    borders = [stamp for stamp, _, _ in recording]
    return {
        stamp: [p for p in parts if previous < p.stamp_ns <= stamp]
        for previous, stamp in zip([-1, *borders], borders, strict=False)
    }


def test_every_frame_comes_out_in_order_with_its_stamp(make_pipeline, recording):
    frames = list(feed(make_pipeline(), recording))
    assert [f.stamp_ns for f in frames] == [stamp for stamp, _, _ in recording]
    assert [f.info.index for f in frames] == list(range(len(recording)))
    assert [f.info.events for f in frames] == [len(events) for _, _, events in recording]
    assert [f.info.reset_reason for f in frames] == ["start"] + [""] * (len(recording) - 1)
    for frame, (_, image, _) in zip(frames, recording, strict=True):
        assert frame.radiance.shape == frame.tonemapped.shape == image.shape
        assert (frame.radiance.dtype, frame.tonemapped.dtype) == (np.float32, np.uint8)
        assert np.isfinite(frame.radiance).all()
        exposed = image < 245
        np.testing.assert_allclose(frame.radiance[exposed], (image[exposed] / 255.0) ** 2.2, atol=1e-6)
        assert frame.info.clipped_fraction == pytest.approx((image >= 250).any(2).mean())
        assert set(frame.info.durations) == {"decode", "voxel", "network", "tonemap"}
    last = frames[-1].info
    assert (last.dropped_events, last.lost_packets, last.skipped_frames) == (0, 0, 0)
    assert last.radiance == "ldr_white"


def test_packets_give_exactly_what_their_events_give(make_pipeline, recording, encoded):
    assert sum(map(len, encoded.values())) > 10
    expected = list(feed(make_pipeline(), recording))
    actual = list(feed(make_pipeline(), recording, encoded))
    assert_same(actual, expected)


def test_the_events_matter(make_pipeline, recording):
    expected = list(feed(make_pipeline(), recording))[-1]
    without = [(stamp, image, Events.empty()) for stamp, image, _ in recording]
    assert not np.array_equal(list(feed(make_pipeline(), without))[-1].radiance, expected.radiance)


def test_a_run_can_be_repeated(make_pipeline, recording):
    assert_same(list(feed(make_pipeline(), recording)), list(feed(make_pipeline(), recording)))


def test_a_reset_forgets_the_state(make_pipeline, recording):
    pipeline = make_pipeline()
    expected = list(feed(pipeline, recording))
    pipeline.reset("service")
    again = list(feed(pipeline, recording))
    assert_same(again, expected)
    assert again[0].info.reset_reason == "service"
    assert again[0].info.index == len(recording)


def test_a_restart_forgets_the_sensor_s_clock_and_what_waits(make_pipeline, recording, encoded):
    pipeline = make_pipeline()
    expected = list(feed(pipeline, recording, encoded))
    pipeline.add_frame(recording[-1][0] + S, recording[0][1])
    pipeline.restart("activated")
    # An hour later the sensor's clock starts again, which its driver's sequence numbers don't tell.
    later = [(stamp + 3600 * S, image, events) for stamp, image, events in recording]
    moved = {
        stamp + 3600 * S: [replace(p, stamp_ns=p.stamp_ns + 3600 * S, seq=p.seq + 10_000) for p in packets]
        for stamp, packets in encoded.items()
    }
    again = list(feed(pipeline, later, moved))
    assert [f.stamp_ns for f in again] == [stamp for stamp, _, _ in later]
    for a, b in zip(again, expected, strict=True):
        np.testing.assert_array_equal(a.radiance, b.radiance)


def test_the_state_spans_frames(make_pipeline, recording):
    expected = list(feed(make_pipeline(), recording))
    tail = list(feed(make_pipeline(), recording[-2:]))
    assert not np.allclose(tail[-1].radiance, expected[-1].radiance, rtol=1e-3)


def test_a_warm_up_leaves_no_trace(make_pipeline, recording):
    pipeline = make_pipeline()
    pipeline.warm_up()
    assert_same(list(feed(pipeline, recording)), list(feed(make_pipeline(), recording)))


def test_a_fixed_offset_moves_the_events(make_pipeline, recording, encoded):
    delayed = [(stamp, image, events.shifted(4_000_000)) for stamp, image, events in recording]
    expected = list(feed(make_pipeline(), delayed))
    assert_same(list(feed(make_pipeline(event_time_offset=0.004), recording, encoded)), expected)


@pytest.mark.parametrize("apart", [False, True])
def test_radiance_keeps_the_scale_of_the_first_exposure(make_pipeline, grey, apart):
    pipeline, stamps = make_pipeline(response=1.0), []
    for k, (value, exposure) in enumerate([(100, 0.01), (50, 0.005), (200, 0.02)]):
        if apart:
            pipeline.add_exposure(k * S // 10, exposure)
        pipeline.add_frame(k * S // 10, grey(value), None if apart else exposure, "camera")
        for frame in pipeline.take(flush=True):
            stamps.append(frame.stamp_ns)
            assert frame.frame_id == "camera"
            np.testing.assert_allclose(frame.radiance, 100 / 255, rtol=1e-5)
    assert len(stamps) == 3


def test_a_lost_packet_is_counted(make_pipeline, recording, encoded):
    third = recording[3][0]
    lossy = {stamp: packets[1:] if stamp == third else packets for stamp, packets in encoded.items()}
    pipeline = make_pipeline()
    frames = list(feed(pipeline, recording, lossy))
    assert len(frames) == len(recording)
    assert frames[-1].info.lost_packets == pipeline.counters["lost_packets"] == 1


def test_another_sensor_s_packets_start_another_decoder_and_the_counters_stay(
    make_pipeline, recording, encoded
):
    packets = [p for stamp, _, _ in recording for p in encoded[stamp]]
    pipeline = make_pipeline()
    for packet in (packets[0], packets[2], replace(packets[3], width=64), replace(packets[5], width=64)):
        pipeline.add_packet(packet)
    assert pipeline.counters["lost_packets"] == 2


def test_an_activation_counts_anew_and_a_reset_does_not(make_pipeline, recording, encoded):
    pipeline = make_pipeline()
    packets = [p for stamp, _, _ in recording for p in encoded[stamp]]
    pipeline.add_frame(recording[-1][0], recording[0][1])
    pipeline.add_frame(recording[-1][0], recording[0][1])
    list(pipeline.take(flush=True))
    for packet in (packets[0], packets[2]):
        pipeline.add_packet(packet)
    pipeline.add_frame(recording[-1][0] + 1, recording[0][1])
    list(pipeline.take(flush=True))
    counted = {name: count for name, count in pipeline.counters.items() if count}
    lost = {"lost_packets", "skipped_frames", "duplicate_frames", "dropped_events", "late_events"}
    assert set(counted) == lost
    pipeline.reset("service")
    pipeline.restart("nobody subscribed")
    assert {name: count for name, count in pipeline.counters.items() if count} == counted
    pipeline.activate()
    assert not any(pipeline.counters.values())
    frames = list(feed(pipeline, recording, encoded))
    assert (frames[0].info.index, frames[0].info.reset_reason) == (0, "activation")
    assert_same(frames, list(feed(make_pipeline(), recording, encoded)))


def test_any_message_is_added(make_pipeline, recording, encoded, grey):
    pipeline, frames, count = make_pipeline(), [], 0
    for stamp, image, events in recording:
        for packet in encoded[stamp]:
            pipeline.add(packet)
        count += len(events)
        assert pipeline.events == count
        pipeline.add(Exposure(stamp, 0.01))
        pipeline.add(Frame(stamp, image))
        frames += pipeline.take()
    assert_same([*frames, *pipeline.take(flush=True)], list(feed(make_pipeline(), recording)))
    pipeline = make_pipeline(registration="camera_info")
    camera = Camera(8, 6, (60.0, 0.0, 3.5, 0.0, 60.0, 2.5, 0.0, 0.0, 1.0))
    for stamp in (0, S // 10):
        for of in ("events", "frames"):
            pipeline.add(Calibration(of, camera))
        pipeline.add(Events([stamp + 1], [1], [1], [1]), (8, 6))
        pipeline.add(Frame(stamp, grey()))
        list(pipeline.take(flush=True))
    assert not pipeline.registration_problem and pipeline.events == 2


@pytest.fixture
def hasty_threads():
    """Threads that take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def in_another_thread(work):
    """Start it; returns a function that tells if it goes on, and raises what it raised."""
    executor = ThreadPoolExecutor(1)
    future = executor.submit(work)
    executor.shutdown(wait=False)
    return lambda: not future.done() or future.result() is not None


def test_a_stream_from_another_thread_gives_the_same(make_pipeline, recording, encoded, hasty_threads):
    expected = list(feed(make_pipeline(), recording))
    pipeline, frames = make_pipeline(), []

    def add():
        for stamp, image, _ in recording:
            for packet in encoded[stamp]:
                pipeline.add_packet(packet)
            pipeline.add_frame(stamp, image)

    going_on = in_another_thread(add)
    while going_on():
        frames += pipeline.take()
    frames += pipeline.take(flush=True)
    assert_same(frames, expected)


def test_nothing_is_lost_between_threads(make_pipeline, grey, hasty_threads):
    pipeline, infos, image = make_pipeline(), [], grey()

    def add():
        for k in range(4000):
            pipeline.add_events(Events([k * 1000 + 1, k * 1000 + 2], [1, 2], [1, 2], [1, 0]))
            if k % 200 == 0:
                pipeline.add_frame(k * 1000, image)

    going_on = in_another_thread(add)
    while going_on():
        infos += [frame.info for frame in pipeline.take()]
    infos += [frame.info for frame in pipeline.take(flush=True)]
    assert [info.index for info in infos] == list(range(20))
    assert [info.events for info in infos] == [0] + [400] * 19
    assert pipeline.counters["dropped_events"] == pipeline.counters["skipped_frames"] == 0


def test_adding_never_waits_for_the_network(make_pipeline, recording):
    """While a frame is being taken, the next ones can be added."""
    pipeline = make_pipeline()
    taken = []
    stamps = [stamp for stamp, _, _ in recording]
    pipeline.add_frame(stamps[0], recording[0][1])
    pipeline.add_frame(stamps[1], recording[1][1])
    for frame in pipeline.take(flush=True):
        taken.append(frame.stamp_ns)
        if len(taken) == 1:
            pipeline.add_frame(stamps[2], recording[2][1])
    assert taken == stamps[:3]


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((6, 8, 4), np.uint8),
        np.zeros((6, 8, 1), np.uint8),
        np.zeros((1, 6, 8, 3), np.uint8),
        np.zeros(8, np.uint8),
        np.zeros((0, 8), np.uint8),
        np.zeros((6, 8, 3), np.int16),
        np.zeros((6, 8, 3)),
        np.zeros((6, 8, 3), bool),
    ],
    ids=lambda image: f"{image.dtype}{image.shape}",
)
def test_what_is_no_frame_is_refused(make_pipeline, image):
    pipeline = make_pipeline()
    with pytest.raises(ValueError, match="a frame is"):
        pipeline.add_frame(0, image)
    assert not list(pipeline.take(flush=True))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(6, 8), (6, 8, 3)])
def test_every_kind_of_frame_gives_the_same(make_pipeline, dtype, shape):
    values = np.full(shape, 128 / 255)
    if dtype is not np.float32:
        values = np.rint(values * np.iinfo(dtype).max)
    image = values.astype(dtype)
    pipeline = make_pipeline()
    pipeline.add_frame(0, image)
    (frame,) = pipeline.take(flush=True)
    assert frame.radiance.shape == (6, 8, 3)
    np.testing.assert_allclose(frame.radiance, (128 / 255) ** 2.2, rtol=1e-4)


@pytest.mark.parametrize(
    "wrong, complaint",
    [
        ({"device": "tpu"}, "device"),
        ({"precision": "int8"}, "precision"),
        ({"tonemap": "filmic"}, "tonemap"),
        ({"policy": "some"}, "policy"),
        ({"frame_clock": "wall"}, "frame_clock"),
        ({"response": "gone.txt"}, "response"),
        ({"buffer_megabytes": 0}, "buffer_megabytes"),
    ],
)
def test_a_setting_that_cannot_be_is_named(make_pipeline, wrong, complaint):
    with pytest.raises(ValueError, match=complaint):
        make_pipeline(**wrong)


def test_weights_that_are_not_there_are_named(make_pipeline):
    with pytest.raises(CheckpointError, match="gone"):
        make_pipeline(weights="gone.safetensors")


@pytest.mark.parametrize("decoded", [True, False])
def test_events_of_a_finer_sensor_are_scaled_to_the_frames(make_pipeline, recording, packets, decoded):
    """Every event fires in all four pixels that share the frame's: their mean is the event itself."""
    pipeline, fine = make_pipeline(), []
    for stamp, image, events in recording:
        t, x, y, p = (np.repeat(column, 4) for column in (events.t, events.x, events.y, events.p))
        right, below = np.tile([[0, 1, 0, 1], [0, 0, 1, 1]], len(events))
        fine.append((stamp, image, Events(t, 2 * x + right, 2 * y + below, p)))
    encoded = packets([events for _, _, events in fine], (92, 66))
    actual = []
    for stamp, image, events in fine:
        if decoded:
            pipeline.add_events(events, (92, 66))
        else:
            for _ in range(-(-len(events) // 100)):
                pipeline.add_packet(next(encoded))
        pipeline.add_frame(stamp, image)
        actual += pipeline.take()
    actual += pipeline.take(flush=True)
    for frame, expected in zip(actual, feed(make_pipeline(), recording), strict=True):
        np.testing.assert_allclose(frame.radiance, expected.radiance, rtol=1e-4, atol=1e-5)
        assert frame.info.events == 4 * expected.info.events


def test_a_registration_that_can_not_be_lets_frames_go_without_events(make_pipeline, recording):
    pipeline = make_pipeline(registration="camera_info")
    blind = [(stamp, image, Events.empty()) for stamp, image, _ in recording]
    for frame, expected in zip(feed(pipeline, recording), feed(make_pipeline(), blind), strict=True):
        np.testing.assert_array_equal(frame.radiance, expected.radiance)
    assert "camera info of the events" in pipeline.registration_problem


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"encoding": "trigger"}, "triggers"),
        ({"encoding": "evt4"}, "evt4.*evt3"),
        ({"width": 0}, "0x33"),
        ({"height": 2**32 - 1}, "46x4294967295"),
    ],
)
def test_a_packet_that_no_event_camera_sends_is_refused_and_the_stream_goes_on(
    make_pipeline, recording, encoded, changed, said
):
    expected = list(feed(make_pipeline(), recording, encoded))
    pipeline, actual = make_pipeline(), []
    for stamp, image, _ in recording:
        for packet in encoded[stamp]:
            with pytest.raises(ValueError, match=said):
                pipeline.add_packet(replace(packet, **changed))
            pipeline.add_packet(packet)
        pipeline.add_frame(stamp, image)
        actual += pipeline.take()
    assert_same([*actual, *pipeline.take(flush=True)], expected)


def test_events_of_another_sensor_do_not_wait_for_the_frame(make_pipeline, grey):
    pipeline = make_pipeline()
    pipeline.add_frame(0, grey())
    list(pipeline.take(flush=True))
    pipeline.add_events(Events([1, 2, 3], [7, 7, 7], [5, 5, 5], [1, 1, 1]), (8, 6))
    pipeline.add_events(Events([4, 5], [3, 3], [2, 2], [1, 1]), (4, 3))
    pipeline.add_frame(5, grey())
    (frame,) = pipeline.take(flush=True)
    assert (frame.info.events, frame.info.dropped_events) == (2, 3)


def test_a_warm_up_does_not_delay_the_discovery_of_hot_pixels(make_pipeline, grey):
    pipeline = make_pipeline(hot_pixel_filter=True)
    pipeline.warm_up()
    start = 1_700_000_000 * S
    for k in range(40):
        at = start + k * S // 10
        pipeline.add_events(Events(np.full(50, at), np.full(50, 3), np.full(50, 2), np.ones(50)), (8, 6))
        pipeline.add_frame(at, grey())
        list(pipeline.take(flush=True))
    assert pipeline.hot_pixels == 1


def test_settings_change_from_the_next_frame_on(make_pipeline, recording):
    pipeline, expected = make_pipeline(), list(feed(make_pipeline(), recording))
    other = list(feed(make_pipeline(tonemap="gamma"), recording))
    actual = []
    for k, (stamp, image, events) in enumerate(recording):
        pipeline.add_events(events)
        pipeline.add_frame(stamp, image)
        if k == 4:
            pipeline.configure(replace(pipeline.config, tonemap="gamma"))
        actual += pipeline.take()
    actual += pipeline.take(flush=True)
    same = (np.array_equal(a.tonemapped, b.tonemapped) for a, b in zip(actual, other, strict=True))
    changes_at = next(k for k, equal in enumerate(same) if equal)
    assert changes_at in (3, 4)  # the frame that waited then
    for k, frame in enumerate(actual):
        np.testing.assert_array_equal(frame.radiance, expected[k].radiance)
        wanted = (other if k >= changes_at else expected)[k]
        np.testing.assert_array_equal(frame.tonemapped, wanted.tonemapped)


def test_highlights_know_the_uncertainty_and_the_cameras_white(make_pipeline, recording):
    pipeline, mapper = make_pipeline(tonemap="highlights"), ToneMapper("highlights")
    for k, (stamp, image, events) in enumerate(recording):
        pipeline.add_events(events)
        pipeline.add_frame(stamp, image, exposure=0.01 if k < 4 else 0.005)
    for k, frame in enumerate(pipeline.take(flush=True)):
        radiance, sigma = torch.from_numpy(frame.radiance), torch.from_numpy(frame.picture("sigma"))
        wanted = mapper(radiance, frame.stamp_ns, sigma, 1.0 if k < 4 else 2.0).pixels
        np.testing.assert_array_equal(frame.tonemapped, wanted)


@pytest.mark.parametrize("change", [{"response": 1.0}, {"white_level": 4095}])
def test_another_response_starts_anew(make_pipeline, recording, change):
    pipeline = make_pipeline()
    list(feed(pipeline, recording[:3]))
    pipeline.configure(replace(pipeline.config, **change))
    actual, expected = list(feed(pipeline, recording[3:])), list(feed(make_pipeline(**change), recording[3:]))
    assert actual[0].info.reset_reason == "response"
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(a.radiance, b.radiance)


def test_another_registration_moves_the_events(make_pipeline, recording):
    matrix = (1.0, 0.0, 5.0, 0.0, 1.0, 3.0, 0.0, 0.0, 1.0)
    pipeline, moved = make_pipeline(), make_pipeline(registration="homography", homography=matrix)
    pipeline.configure(moved.config)
    for a, b in zip(feed(pipeline, recording), feed(moved, recording), strict=True):
        np.testing.assert_array_equal(a.radiance, b.radiance)


def test_another_time_offset_holds_for_the_packets_that_follow(make_pipeline, grey):
    pipeline = make_pipeline()
    pipeline.add_frame(0, grey())
    list(pipeline.take(flush=True))
    pipeline.configure(replace(pipeline.config, event_time_offset=1.0))
    list(pipeline.take())
    pipeline.add_events(Events([1], [1], [1], [1]), (8, 6))
    for stamp, expected in ((S // 2, 0), (S + 2, 1)):
        pipeline.add_frame(stamp, grey())
        (frame,) = pipeline.take(flush=True)
        assert frame.info.events == expected


@pytest.mark.parametrize(
    "change",
    [{"weights": "other"}, {"device": "cpu:0"}, {"buffer_megabytes": 1.0}, {"frame_clock": "sensor"}],
)
def test_what_the_pipeline_is_made_of_can_not_change(make_pipeline, recording, change):
    pipeline, expected = make_pipeline(), list(feed(make_pipeline(), recording))
    with pytest.raises(ValueError, match=f"{next(iter(change))}: only a new pipeline"):
        pipeline.configure(replace(pipeline.config, tonemap="gamma", **change))
    assert_same(list(feed(pipeline, recording)), expected)


def test_a_response_that_is_not_there_changes_nothing(make_pipeline, recording):
    pipeline, expected = make_pipeline(), list(feed(make_pipeline(), recording))
    with pytest.raises(ValueError, match="gone.txt"):
        pipeline.configure(replace(pipeline.config, response="gone.txt", tonemap="gamma"))
    assert_same(list(feed(pipeline, recording)), expected)


def test_the_age_of_the_state_is_the_stream_s_time_since_its_reset(make_pipeline, recording):
    pipeline = make_pipeline()
    frames = list(feed(pipeline, recording[:4]))
    pipeline.reset("service")
    frames += feed(pipeline, recording[4:])
    ages = [frame.info.state_age for frame in frames]
    stamps = [frame.stamp_ns for frame in frames]
    expected = [(s - stamps[0 if k < 4 else 4]) * 1e-9 for k, s in enumerate(stamps)]
    assert ages == pytest.approx(expected)


@pytest.mark.parametrize("exposure", [0.0, -0.01, float("nan"), float("inf")])
def test_an_exposure_that_can_not_be_is_refused(make_pipeline, exposure):
    with pytest.raises(ValueError, match="exposure"):
        make_pipeline().add_exposure(0, exposure)
    with pytest.raises(ValueError, match="exposure time"):
        make_pipeline().add_exposure(0, 0.01, exposure)


@pytest.mark.parametrize("apart", [False, True])
def test_what_stamps_mean_changes_nothing_but_the_stamps(make_pipeline, recording, apart):
    exposure = 0.02
    seconds = {"start": 0, "middle": 10_000_000, "end": 20_000_000}
    frames = {}
    for stamp_is, shift in {**seconds, "unknown": 0}.items():
        pipeline = make_pipeline(stamp_is="start" if stamp_is == "unknown" else stamp_is)
        frames[stamp_is] = []
        for stamp, image, events in recording:
            pipeline.add_events(events)
            known = {"exposure_seconds": exposure} if stamp_is != "unknown" and not apart else {}
            pipeline.add_frame(stamp + shift, image, **known)
            if stamp_is != "unknown" and apart:
                pipeline.add_exposure(stamp + shift, exposure, exposure)
            frames[stamp_is] += pipeline.take()
        frames[stamp_is] += pipeline.take(flush=True)
        assert [f.stamp_ns for f in frames[stamp_is]] == [stamp + shift for stamp, _, _ in recording]
    for stamp_is in seconds:
        for a, b in zip(frames[stamp_is], frames["start"], strict=True):
            np.testing.assert_array_equal(a.radiance, b.radiance)
            assert a.info.events == b.info.events
    assert not np.allclose(frames["unknown"][-1].radiance, frames["start"][-1].radiance, rtol=1e-3)


def test_a_fixed_latency_is_taken_off_the_events_time(make_pipeline, recording):
    expected = list(feed(make_pipeline(event_time_offset=-0.004), recording))
    late = list(feed(make_pipeline(event_latency="0.004"), recording))
    assert_same(late, expected)
    assert {frame.info.event_latency for frame in late} == {0.004}
    pipeline = make_pipeline()
    pipeline.configure(replace(pipeline.config, event_latency=0.004))
    latencies = [frame.info.event_latency for frame in feed(pipeline, recording)]
    assert latencies[1:] == [0.004] * (len(recording) - 1)


def test_a_latency_learned_on_the_way_is_the_same_for_frames_that_had_to_wait(make_pipeline):
    samples = list(simulate(SimulationConfig(width=64, height=48, seconds=1.5, fps=10, seed=3)))
    recording = [(sample.stamp_ns, sample.ldr, sample.events) for sample in samples]
    prompt = list(feed(make_pipeline(), recording))
    behind = make_pipeline()
    for stamp, image, events in recording:
        behind.add_events(events)
        behind.add_frame(stamp, image)
    behind = list(behind.take(flush=True))
    assert len({frame.info.event_latency for frame in prompt}) > 1
    assert [frame.info.event_latency for frame in behind] == [frame.info.event_latency for frame in prompt]
    assert_same(behind, prompt)


@pytest.mark.parametrize("latency", ["automatic", "nan", 2.0])
def test_a_latency_that_can_not_be_is_refused(make_pipeline, latency):
    with pytest.raises(ValueError, match="event_latency"):
        make_pipeline(event_latency=latency)
