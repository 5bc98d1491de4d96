"""The blur is taken out where events explain it, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest

from rehdr_ros.events import Events, Frame
from rehdr_ros.jit import sealed
from rehdr_ros.luminance import BT709
from rehdr_ros.reconstruction import HdrPipeline, PipelineConfig
from rehdr_ros.reconstruction.double_integral import double_integral
from rehdr_ros.simulation import SimulationConfig, simulate

SIZE, MS = 64, 1_000_000
NO_TABLE = sealed(np.empty(0, np.int32))
CONFIG = SimulationConfig(
    width=SIZE, height=SIZE, seconds=0.6, fps=10, exposure=0.06, speed=250, renders=1000, sharp_truth=True
)


@pytest.fixture(scope="module")
def samples():
    return list(simulate(CONFIG))


def reconstructed(samples, deblur, gone=None, exposure=CONFIG.exposure):
    """The frames; gone: a mask of pixels (H, W) whose events never come."""
    pipeline = HdrPipeline(
        PipelineConfig(policy="all", engine="pytorch", precision="float32", event_latency=0.0, deblur=deblur)
    )
    frames = []
    for sample in samples:
        for events in (sample.events, None, sample.tail):
            if events is None:
                pipeline.add_frame(sample.stamp_ns, sample.ldr, exposure_seconds=exposure)
            else:
                kept = slice(None) if gone is None else ~gone[events.y, events.x]
                pipeline.add_events(Events(events.t[kept], events.x[kept], events.y[kept], events.p[kept]))
        frames += pipeline.take()
    return frames + list(pipeline.take(flush=True))


def integral(times_ms, polarities, dead_ms=0.0):
    """Log ratio of one pixel exposed for 10 ms, thresholds 0.5 for ON and 0.25 for OFF events."""
    t = np.array(times_ms) * MS
    zeros, p = np.zeros(len(t), np.int32), np.array(polarities, np.uint8)
    ratio, count = np.zeros(1, np.float32), np.zeros(1, np.int32)
    events = (sealed(x) for x in (t.astype(np.int64), zeros, p, NO_TABLE, np.ones(1, np.float32)))
    double_integral(*events, 0, 10 * MS, 0.5, 0.25, int(dead_ms * MS), 1, ratio, count)
    return float(ratio[0])


def test_ratio_is_that_of_the_mean_to_the_middle():
    assert integral([], []) == 0
    # 0.5 brighter from 2 ms on: a fifth of the exposure was darker than the middle
    assert integral([2], [1]) == pytest.approx(np.log(0.2 * np.exp(-0.5) + 0.8), abs=1e-5)
    # two steps darker after the middle
    expected = np.log(0.6 + 0.1 * np.exp(-0.25) + 0.3 * np.exp(-0.5))
    assert integral([6, 7], [0, 0]) == pytest.approx(expected, abs=1e-5)
    assert integral([-1, 0, 10.5], [1, 1, 1]) == 0  # none within the exposure


def test_events_that_follow_each_other_at_once_stand_for_what_was_missed():
    # the second comes 4 ms after the first, 1 ms of which the pixel was blind
    expected = np.log(0.2 * np.exp(-0.5) + 0.4 + 0.4 * np.exp(4 / 3 * 0.5))
    assert integral([2, 6], [1, 1], dead_ms=1) == pytest.approx(expected, abs=1e-4)


def test_instant_is_nearer_to_the_sharp_truth(samples):
    errors = {}
    for deblur in (False, True):
        frames = reconstructed(samples, deblur)[3:]
        clipped = np.stack([s.ldr for s in samples[3:]]).max(-1) >= 250
        pairs = zip(frames, samples[3:], strict=True)
        log = [np.log2(np.maximum(x @ BT709, 2**-10)) for f, s in pairs for x in (f.radiance, s.truth)]
        error = np.stack(log[::2]) - np.stack(log[1::2])
        errors[deblur] = [np.sqrt(np.mean(error[mask] ** 2)) for mask in (~clipped, clipped)]
    well_exposed, clipped = np.divide(errors[True], errors[False])
    assert well_exposed < 0.6
    assert clipped < 0.85


def test_pixels_without_events_stay_as_they_are(samples):
    gone = np.zeros((SIZE, SIZE), bool)
    gone[:, : SIZE // 2] = True
    blurred, sharp = (reconstructed(samples, deblur, gone)[-1] for deblur in (False, True))
    exposed = (samples[-1].ldr < 250).all(-1)
    assert np.array_equal(sharp.radiance[gone & exposed], blurred.radiance[gone & exposed])
    assert not np.array_equal(sharp.radiance[~gone & exposed], blurred.radiance[~gone & exposed])


def test_events_that_do_not_explain_the_frames_change_nothing(samples):
    rng = np.random.default_rng(0)
    strangers = [
        replace(
            s, events=Events(s.events.t, *(rng.permutation(x) for x in (s.events.x, s.events.y)), s.events.p)
        )
        for s in samples
    ]
    blurred, sharp = (reconstructed(strangers, deblur) for deblur in (False, True))
    for a, b in zip(blurred, sharp, strict=True):
        assert np.array_equal(a.radiance, b.radiance)


def test_frames_of_unknown_exposure_stay_as_they_are_at_first(samples):
    blurred, sharp = (reconstructed(samples[:4], deblur, exposure=None)[-1] for deblur in (False, True))
    assert np.array_equal(blurred.radiance, sharp.radiance)


def test_uncertainty_grows_with_what_the_events_changed(samples):
    blurred, sharp = (reconstructed(samples, deblur)[-1] for deblur in (False, True))
    moved = (
        np.abs(np.log(np.maximum(sharp.radiance, 1e-4) / np.maximum(blurred.radiance, 1e-4)))[..., 0] > 0.3
    )
    exposed = (samples[-1].ldr < 250).all(-1)
    assert (sharp.uncertainty[moved & exposed] > blurred.uncertainty[moved & exposed]).all()
    assert (sharp.cause[exposed] == 0).all()


def test_it_can_be_switched_while_frames_come(samples):
    pipeline = HdrPipeline(PipelineConfig(policy="all", engine="pytorch", event_latency=0.0))
    for sample in samples:
        pipeline.add_events(sample.events)
        pipeline.add(Frame(sample.stamp_ns, sample.ldr, exposure_time_s=CONFIG.exposure))
    frames = pipeline.take(flush=True)
    assert "deblur" not in next(frames).info.durations
    pipeline.configure(replace(pipeline.config, deblur=True))
    assert "deblur" in next(frames).info.durations


def test_an_interrupted_stream_goes_on_to_the_same_frames(samples):
    def pipeline():
        return HdrPipeline(
            PipelineConfig(
                policy="all", engine="pytorch", precision="float32", event_latency=0.0, deblur=True
            )
        )

    def fed(pipeline):
        for sample in samples:
            pipeline.add_events(sample.events)
            pipeline.add(Frame(sample.stamp_ns, sample.ldr, exposure_time_s=CONFIG.exposure))
            pipeline.add_events(sample.tail)
        return pipeline.take(flush=True)

    whole = pipeline()
    frames, snapshot = [], None
    for frame in fed(whole):
        frames.append(frame)
        if len(frames) == 4:
            snapshot = whole.snapshot
    resumed = pipeline()
    resumed.resume(snapshot)
    rest = list(fed(resumed))
    assert len(rest) == len(frames) - 4
    for before, after in zip(frames[4:], rest, strict=True):
        assert np.array_equal(before.radiance, after.radiance)


@pytest.mark.parametrize("size", [(32, 32), (128, 128)])
def test_events_of_another_resolution_fall_into_the_frames_pixels(samples, size):
    """Every event pixel's events twice as far apart, or each four times, one in each of the pixels around."""
    width = size[0]
    pipeline = HdrPipeline(PipelineConfig(policy="all", engine="pytorch", event_latency=0.0, deblur=True))
    for sample in samples:
        events = sample.events
        if width > SIZE:
            parts = [
                Events(events.t, events.x * 2 + dx, events.y * 2 + dy, events.p)
                for dy in (0, 1)
                for dx in (0, 1)
            ]
            together = Events.concatenate(parts)
            order = np.argsort(together.t, kind="stable")
            events = Events(*(x[order] for x in (together.t, together.x, together.y, together.p)))
        else:
            kept = (events.x % 2 == 0) & (events.y % 2 == 0)
            events = Events(events.t[kept], events.x[kept] // 2, events.y[kept] // 2, events.p[kept])
        pipeline.add_events(events, size)
        pipeline.add(Frame(sample.stamp_ns, sample.ldr, exposure_time_s=CONFIG.exposure))
    *_, sharp, _ = pipeline.take(flush=True)
    *_, blurred, _ = reconstructed(samples, False)
    exposed = (samples[-2].ldr < 250).all(-1)
    truth = samples[-2].truth[exposed]
    errors = [np.abs(np.log((x.radiance[exposed] + 0.01) / (truth + 0.01))).mean() for x in (sharp, blurred)]
    assert errors[0] < 0.9 * errors[1]
