import itertools

import numpy as np
import pytest

from rehdr_ros.events import Exposure
from rehdr_ros.recordings import BagRecording
from rehdr_ros.simulation import SimulationConfig
from rehdr_ros.simulation.auto_exposure import AutoExposure
from rehdr_ros.simulation.bag import write_bag
from rehdr_ros.simulation.sensors import RESPONSE
from rehdr_ros.simulation.simulator import simulate_scene


class Lamp:
    """A wall whose light is switched on after half a second, sixteen times as bright, as a Scene."""

    def __init__(self):
        self._wall = np.random.default_rng(0).uniform(0.05, 1, (24, 32, 3)).astype(np.float32)

    def render(self, seconds):
        return self._wall * np.float32(16 if seconds > 0.5 else 1)


CONFIG = SimulationConfig(width=32, height=24, seconds=3.0, fps=10, renders=50, auto_exposure=True)


def mean(ldr):
    return ((ldr / 255) ** RESPONSE).mean()


def test_the_first_frame_is_well_exposed_and_a_step_is_followed():
    samples = list(simulate_scene(Lamp(), CONFIG))
    stops = np.log2([sample.exposure / samples[0].exposure for sample in samples])
    assert samples[0].exposure == CONFIG.exposure
    assert mean(samples[0].ldr) == pytest.approx(0.2, abs=0.02)
    assert abs(stops[:5]).max() < 0.1, "nothing has changed yet"
    assert (samples[6].ldr == 255).mean() > 0.7
    assert (np.diff(stops[6:15]) < 0).all() and stops[-1] == pytest.approx(-4, abs=0.15)
    assert mean(samples[-1].ldr) == pytest.approx(0.2, abs=0.02)


def test_the_truth_keeps_the_first_frames_white():
    """Where a frame is exposed it is the truth times the exposure, over the first's."""
    for sample in itertools.islice(simulate_scene(Lamp(), CONFIG), 4, 30, 6):
        signal = sample.truth * sample.exposure / CONFIG.exposure
        exposed = (sample.ldr > 60) & (sample.ldr < 250)
        linear = (sample.ldr / 255) ** RESPONSE
        if exposed.any():
            assert np.median(linear[exposed] / signal[exposed]) == pytest.approx(1, abs=0.03)


def test_a_view_of_one_value_and_a_dark_one_have_an_exposure():
    assert AutoExposure(np.full((4, 4, 3), 3, np.float32)).white == pytest.approx(15, rel=0.01)
    control = AutoExposure(np.ones((4, 4, 3), np.float32))
    before = control.white
    control.follow(np.zeros((4, 4, 3), np.uint8), 0.1)
    assert 0 < control.white < before


def test_a_bag_tells_the_exposures(tmp_path):
    config = SimulationConfig(
        width=48, height=36, seconds=0.4, fps=20, seed=2, renders=100, auto_exposure=True
    )
    samples = list(write_bag(config, tmp_path / "bag"))
    exposures = [m for m in BagRecording(tmp_path / "bag").messages() if isinstance(m, Exposure)]
    told = [each.effective_time_s for each in exposures]
    assert len(set(told)) > 2
    assert told == pytest.approx([sample.exposure for sample in samples], rel=1e-6)


def test_a_bag_with_sharp_truth_tells_the_exposure_time(tmp_path):
    config = SimulationConfig(width=48, height=36, seconds=0.2, fps=20, renders=100, sharp_truth=True)
    samples = list(write_bag(config, tmp_path / "bag"))
    exposures = [m for m in BagRecording(tmp_path / "bag").messages() if isinstance(m, Exposure)]
    told = [each.exposure_time_s for each in exposures]
    assert told == pytest.approx([config.exposure] * len(samples), rel=1e-6)
