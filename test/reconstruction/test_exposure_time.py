"""Exposures that nothing tells are found by the events, and used only where they are sure."""

from dataclasses import replace

import numpy as np
import pytest

from rehdr_ros.events import Frame
from rehdr_ros.luminance import BT709
from rehdr_ros.reconstruction import HdrPipeline, PipelineConfig
from rehdr_ros.recordings import open_recording
from rehdr_ros.simulation import SimulationConfig, simulate

SIZE = 128


def moving(exposure, blur, seconds=1.5):
    return list(
        simulate(
            SimulationConfig(
                width=SIZE,
                height=SIZE,
                seconds=seconds,
                fps=10,
                exposure=exposure,
                speed=blur / exposure,
                renders=4 * blur / exposure,
                sharp_truth=True,
                seed=3,
            )
        )
    )


@pytest.fixture(scope="module")
def samples():
    return moving(0.06, 15)


def pipeline_of(**settings):
    latency = settings.pop("event_latency", 0.0)
    settings = {"policy": "all", "engine": "pytorch", "weights": "rehdr_t", "deblur": True, **settings}
    return HdrPipeline(PipelineConfig(precision="float32", event_latency=latency, **settings))


def messages(samples, exposure=None, passed_share=0.0, length=0.0):
    for sample in samples:
        yield sample.events
        stamp_ns = sample.stamp_ns + round(passed_share * length * 1e9)
        yield Frame(stamp_ns, sample.ldr, exposure_time_s=exposure)
        yield sample.tail


def reconstructed(pipeline, messages):
    for message in messages:
        pipeline.add(message)
    return list(pipeline.take(flush=True))


@pytest.mark.parametrize(("exposure", "blur"), [(0.02, 8), (0.06, 15), (0.08, 20)])
@pytest.mark.parametrize("stamp_is", ["start", "end"])
def test_the_exposure_is_found(exposure, blur, stamp_is):
    pipeline = pipeline_of(stamp_is=stamp_is)
    share = {"start": 0.0, "end": 1.0}[stamp_is]
    reconstructed(pipeline, messages(moving(exposure, blur, 1.2), None, share, exposure))
    assert pipeline.estimated_exposure == pytest.approx(exposure, rel=0.2)


def test_frames_lose_their_blur_nearly_as_with_a_told_exposure(samples):
    def error(pipeline, exposure):
        pairs = list(zip(reconstructed(pipeline, messages(samples, exposure)), samples, strict=True))[10:]
        log = [np.log2(np.maximum(x @ BT709, 2**-10)) for f, s in pairs for x in (f.radiance, s.truth)]
        return np.sqrt(np.mean((np.stack(log[::2]) - np.stack(log[1::2])) ** 2))

    blurred, told, estimated = (
        error(pipeline_of(deblur=deblur), exposure)
        for deblur, exposure in ((False, None), (True, 0.06), (True, None))
    )
    assert estimated < blurred - 0.65 * (blurred - told)


def test_a_replay_gives_the_frames_of_the_live_stream(samples):
    live, frames = pipeline_of(), []
    for message in messages(samples):
        live.add(message)
        frames += live.take(now=0.0)
    frames += live.take(flush=True)
    replayed = reconstructed(pipeline_of(), messages(samples))
    assert live.estimated_exposure > 0
    for a, b in zip(frames, replayed, strict=True):
        assert np.array_equal(a.radiance, b.radiance)


def test_no_exposure_is_found_where_events_do_not_belong_to_the_frames(samples):
    rng = np.random.default_rng(0)
    pipeline = pipeline_of()
    strangers = [
        replace(s, events=replace(s.events, x=rng.permutation(s.events.x), y=rng.permutation(s.events.y)))
        for s in samples
    ]
    reconstructed(pipeline, messages(strangers))
    assert pipeline.estimated_exposure == 0


def test_told_exposures_and_frames_as_they_are_need_none(samples):
    told, blurred = pipeline_of(), pipeline_of(deblur=False)
    reconstructed(told, messages(samples, 0.06))
    reconstructed(blurred, messages(samples))
    assert told.estimated_exposure == blurred.estimated_exposure == 0


def test_the_exposure_of_a_real_recording_is_found(shared):
    recording = open_recording(shared / "data" / "recordings" / "demo-01.aedat4")
    pipeline = pipeline_of(response=1.0)
    told = None
    for message in recording.messages():
        if isinstance(message, Frame):
            told = message.exposure_time_s
            message = replace(message, exposure_time_s=None)
        pipeline.add(message)
        list(pipeline.take())
    assert pipeline.estimated_exposure == pytest.approx(told, rel=0.2)
