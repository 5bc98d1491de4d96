"""A frame's radiance carried on by events, and the pipeline's outputs between the frames."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from rehdr_ros.events import Events, Frame, Registration
from rehdr_ros.network.event_fit import EventFit
from rehdr_ros.reconstruction import FrameInfo, PipelineConfig
from rehdr_ros.reconstruction.keyframe import Keyframe
from rehdr_ros.reconstruction.output_schedule import OutputJob
from rehdr_ros.reconstruction.propagation import HALF_CORRECTED, Propagation, cause, sigma
from rehdr_ros.reconstruction.synchronizer import Exposed
from rehdr_ros.simulation import SimulationConfig, simulate

MS = 1_000_000
SIZE = 5, 7
ON, OFF, NOISE = 0.2, 0.3, 0.02
FIT = EventFit(*(torch.full((1, 1, 1, 1), x) for x in (ON, OFF, NOISE, 0.9)))


def keyframe(
    time_ns=0, radiance=1.0, correction=0.0, registration=None, registered=True, reset_reason=""
) -> Keyframe:
    counted = dict.fromkeys(("events", "dropped_events", "late_events", "lost_packets", "skipped_frames"), 0)
    figures = {"clipped_fraction": 0.0, "tonemapped_clipped_fraction": 0.0, "state_age": 0.0}
    info = FrameInfo(0, **counted, **figures, reset_reason=reset_reason, radiance="", ready_at=0.0)
    planes = [np.full(SIZE, value, np.float32) for value in (0.1, 0.0, correction)]
    frame, exposed = Frame(time_ns, np.zeros((*SIZE, 3), np.uint8)), Exposed(time_ns, time_ns)
    whole = np.full((3, *SIZE), radiance, np.float32)
    return Keyframe(frame, 255.0, exposed, 0, None, whole, *planes, FIT, registration, registered, info)


def events(*rows) -> Events:
    """(t, x, y, p)."""
    return Events(*np.array(rows, np.int64).reshape(-1, 4).T)


def output(key: Keyframe, instant_ns: int, new: Events, since: Events | None = None) -> OutputJob:
    first = since is not None
    started = key if first and key.starts else None
    return OutputJob(instant_ns, instant_ns, key, first, new, since if first else new, 0.0, started)


def test_events_move_their_pixel_by_the_thresholds_and_no_other():
    key, propagation = keyframe(radiance=0.5), Propagation()
    none = Events.empty()
    assert (propagation(output(key, 0, none, none)).radiance == 0.5).all()
    moved = propagation(output(key, 10, events((5, 2, 1, 1), (6, 2, 1, 1), (7, 4, 3, 0)))).radiance
    expected = np.full((3, *SIZE), 0.5)
    expected[:, 1, 2] *= math.exp(2 * ON)
    expected[:, 3, 4] *= math.exp(-OFF)
    np.testing.assert_allclose(moved, expected, rtol=1e-6)
    np.testing.assert_allclose(propagation(output(key, 20, none)).radiance, expected, rtol=1e-6)
    expected[:, 1, 2] *= math.exp(-OFF)
    np.testing.assert_allclose(
        propagation(output(key, 30, events((25, 2, 1, 0)))).radiance, expected, rtol=1e-6
    )


def test_hot_pixels_are_limited_and_edges_are_not():
    key = keyframe()
    alone = events(*[(5, 2, 2, 1)] * 30)
    edge = events(*[(5, 2, 2, 1)] * 6, *[(5, 2, 3, 1)] * 6)
    hot, moved = (Propagation()(output(key, 10, e, e)).radiance[0, 2, 2] for e in (alone, edge))
    assert hot == pytest.approx(math.exp(2 * ON)) and moved == pytest.approx(math.exp(6 * ON))


def test_a_correction_fades_with_the_variance_of_the_events():
    key, new = keyframe(correction=0.4), events((5, 2, 1, 1), (6, 2, 1, 0))
    radiance = Propagation()(output(key, 10, new, new)).radiance[0]
    lost = 0.4 * (1 - 1 / (1 + 2 * NOISE / HALF_CORRECTED))
    assert radiance[1, 2] == pytest.approx(math.exp(ON - OFF - lost), rel=1e-5) and radiance[0, 0] == 1


def test_what_is_shown_goes_over_to_the_next_frame_without_a_step():
    propagation, none = Propagation(), Events.empty()
    propagation(output(keyframe(), 0, none, none))
    propagation(output(keyframe(), 90 * MS, none))
    later = keyframe(100 * MS, radiance=2.0)
    shown = [propagation(output(later, 100 * MS, none, none)).radiance[0, 0, 0]]
    shown += [propagation(output(later, ms * MS, none)).radiance[0, 0, 0] for ms in range(110, 151, 10)]
    np.testing.assert_allclose(shown, [1.2, 1.4, 1.6, 1.8, 2.0, 2.0], rtol=1e-6)


def test_after_a_reset_nothing_is_left_of_what_was():
    propagation, none = Propagation(), Events.empty()
    propagation(output(keyframe(), 0, none, none))
    anew = keyframe(100 * MS, radiance=2.0, reset_reason="service")
    assert (propagation(output(anew, 100 * MS, none, none)).radiance == 2).all()


def test_events_go_where_the_registration_says():
    wide = Registration.scaled((14, 10), SIZE[::-1])
    key, new = keyframe(registration=wide), events((5, 4, 2, 1), (5, 5, 2, 1), (5, 4, 3, 1), (5, 5, 3, 1))
    radiance = Propagation()(output(key, 10, new, new)).radiance[0]
    assert radiance[1, 2] == pytest.approx(math.exp(ON)) and (radiance != 1).sum() == 1


def test_events_that_cannot_be_registered_move_nothing():
    new = events((5, 2, 1, 1))
    propagation, key = Propagation(), keyframe(registered=False)
    job = output(key, 10, new, new)
    assert (propagation(job).radiance == 1).all() and not propagation.grid(job).any()


def test_uncertainty_grows_with_the_events_and_beside_them():
    count = np.zeros(SIZE, np.float32)
    count[1, 2] = 3
    spread, why = sigma(keyframe(), count), cause(keyframe(), count)
    assert spread[1, 2] == pytest.approx(math.sqrt(0.01 + 3 * NOISE)) and spread[4, 6] == pytest.approx(0.1)
    beside = math.sqrt(0.01 + (ON**2 + OFF**2) / 12)  # less than a threshold, unseen
    assert spread[2, 3] == spread[0, 1] == pytest.approx(beside)
    assert why[1, 2] == 1 and why.sum() == 1


# The pipeline


@pytest.fixture(scope="module")
def samples():
    config = SimulationConfig(width=48, height=40, seconds=0.8, fps=10, seed=3, exposure=0.004)
    return list(simulate(config))


def outputs(pipeline, samples):
    made = []
    for sample in samples:
        pipeline.add(sample.events)
        pipeline.add_frame(sample.stamp_ns, sample.ldr, exposure_seconds=0.004)
        made += pipeline.take()
        pipeline.add(sample.tail)
    return made + list(pipeline.take(flush=True))


def test_only_regular_stamps_come_out_with_what_is_known_of_them(make_pipeline, samples):
    made = outputs(make_pipeline(output_rate=50.0), samples)
    assert [f.stamp_ns for f in made] == list(range(20 * MS, 701 * MS, 20 * MS))
    assert [f.info.index for f in made] == list(range(len(made)))
    assert {f.info.source for f in made} == {"between"}
    ages = [f.info.frame_age for f in made]
    assert min(ages) == pytest.approx(0.018) and max(ages) == pytest.approx(0.098)
    assert [f.info.reset_reason for f in made] == ["start"] + [""] * (len(made) - 1)
    assert len({f.info.durations["network"] for f in made}) > 5
    for frame in made:
        assert frame.radiance.shape == frame.tonemapped.shape == (40, 48, 3)
        assert np.isfinite(frame.radiance).all() and (frame.uncertainty > 0).all()
        assert set(frame.info.durations) == {"decode", "voxel", "network", "propagation", "tonemap"}


def test_outputs_are_nearer_to_what_was_there_than_the_last_frame(make_pipeline, samples):
    frames = {f.stamp_ns: f for f in outputs(make_pipeline(), samples)}
    truth = {s.stamp_ns: s.truth for s in samples}
    made = {f.stamp_ns: f for f in outputs(make_pipeline(output_rate=50.0), samples)}
    errors = []
    for stamp in range(300 * MS, 701 * MS, 100 * MS):  # 98 ms after the frame that they rest on
        carried, held = made[stamp].radiance, frames[stamp - 100 * MS].radiance
        exposed = truth[stamp].max(2) < 0.9
        errors.append([np.abs(np.log(x[exposed] / truth[stamp][exposed])).mean() for x in (carried, held)])
    carried, held = np.mean(errors, 0)
    assert carried < 0.75 * held


def test_a_pipeline_is_of_one_rate(make_pipeline):
    pipeline = make_pipeline()
    with pytest.raises(ValueError, match="output_rate"):
        pipeline.configure(replace(pipeline.config, output_rate=100.0))


@pytest.mark.parametrize("rate", [-1.0, 2000.0])
def test_a_wrong_rate_is_refused(rate):
    with pytest.raises(ValueError, match="output_rate"):
        PipelineConfig(output_rate=rate)


def test_a_new_stream_leaves_nothing_of_the_one_before(make_pipeline, samples):
    pipeline = make_pipeline(output_rate=50.0)
    expected = outputs(pipeline, samples)
    pipeline.activate()
    again = outputs(pipeline, samples)
    assert [f.info.reset_reason for f in again][:2] == ["activation", ""]
    for frame, other in zip(again, expected, strict=True):
        assert (frame.stamp_ns, frame.info.index) == (other.stamp_ns, other.info.index)
        np.testing.assert_array_equal(frame.radiance, other.radiance)
        np.testing.assert_array_equal(frame.tonemapped, other.tonemapped)


@pytest.mark.parametrize("size", [(128, 96), (64, 48)])
def test_events_of_unknown_pixels_move_none_until_a_frame_knows_where_they_belong(make_pipeline, size):
    pipeline, image = make_pipeline(output_rate=100.0, event_latency=0.0), np.full((48, 64, 3), 100, np.uint8)
    pipeline.add_frame(0, image)
    outputs = list(pipeline.take(now=math.inf))  # goes without: no events have come
    times = np.arange(MS, 100 * MS, MS // 10)
    late = Events(times, np.full(len(times), 56), np.full(len(times), 40), np.ones(len(times)))
    pipeline.add_events(late, size)
    outputs += pipeline.take()
    pipeline.add_frame(100 * MS, image)
    pipeline.add_events(late.shifted(100 * MS), size)
    outputs += pipeline.take()
    moved = {o.stamp_ns // MS: np.argwhere(o.radiance[..., 0] != o.radiance[0, 0, 0]) for o in outputs}
    assert not any(len(moved[ms]) for ms in range(0, 100, 10))
    column, row = 56 * 64 // size[0], 40 * 48 // size[1]
    assert moved[190].tolist() == [[row, column]]
