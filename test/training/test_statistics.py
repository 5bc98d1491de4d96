import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from rehdr_ros.errors import InputError
from rehdr_ros.events import Events
from rehdr_ros.simulation.batch import BatchSimulator, Variety
from rehdr_ros.training.batches import SimulatedBatches
from rehdr_ros.training.footage import Footage, Timing, read_footage
from rehdr_ros.training.statistics import (
    STATISTICS,
    of_footage,
    of_training,
    same_polarity_intervals,
    side_by_side,
    table,
)

ON, OFF = 0.03, 0.05
START = Timing("start")
SIZE, FRAMES, INTERVAL = 32, 6, 0.04


def waves(latency=0.0, noise=0.0, exposure=0.002):
    """Pixels whose log luminance swings, each at its rate and phase; an event at every threshold passed."""
    random = np.random.default_rng(0)
    pixels = SIZE * SIZE
    rate, phase, height = (random.uniform(*limits, pixels) for limits in ((5, 15), (0, 7), (0.6, 1.4)))
    middle = np.arange(FRAMES) * INTERVAL + exposure / 2
    ticks = np.arange(-0.005, middle[-1] + 0.01, 1e-4)

    def log(t):
        return -1.5 + height * np.sin(rate * t + phase)

    reference, parts = log(ticks[0]), []
    for t in ticks[1:]:
        change = log(t) - reference
        fired = np.where(change >= ON, ON, np.where(change <= -OFF, -OFF, 0))
        reference += fired
        (where,) = np.nonzero(fired)
        parts.append(np.stack((np.full(len(where), (t + latency) * 1e9), where, fired[where] > 0)))
    t, where, p = np.concatenate(parts, 1).astype(np.int64)
    linear = np.exp([log(t) + noise * random.standard_normal(pixels) for t in middle]).astype(np.float32)
    linear = torch.from_numpy(linear).reshape(FRAMES, 1, SIZE, SIZE).expand(-1, 3, -1, -1)
    start = np.rint((middle - exposure / 2) * 1e9).astype(np.int64)
    events = Events(t, where % SIZE, where // SIZE, p)
    return Footage("waves", linear, linear[:, 0] > 1, start, np.full(FRAMES, exposure), events)


def test_the_thresholds_that_made_the_events_are_found():
    statistics = of_footage(waves(), Timing())
    assert set(statistics) == set(STATISTICS)
    assert statistics["threshold_on"] == pytest.approx(ON, rel=0.1)
    assert statistics["threshold_off"] == pytest.approx(OFF, rel=0.1)
    assert 0.9 < statistics["r2"] < 1
    assert 0 < statistics["residual_per_event"] < OFF**2, "less than one event is missing in an interval"
    assert statistics["exposure"] == pytest.approx(0.002)


@pytest.mark.parametrize("latency", [-0.004, 0.0, 0.007])
def test_the_latency_is_found_and_taken_off(latency):
    """With that of the pixel itself, which tells of a change when it is half a threshold old, on average."""
    late = waves(latency)
    found = of_footage(late, Timing())
    assert latency < found["latency"] < latency + 0.0025
    told = of_footage(late, Timing(event_latency=found["latency"]))
    assert told["latency"] == pytest.approx(found["latency"], abs=1e-9)
    assert told["r2"] > found["r2"]


def test_noise_lowers_the_fit_and_raises_the_residual():
    clean, noisy = of_footage(waves(), Timing()), of_footage(waves(noise=0.2), Timing())
    assert noisy["r2"] < clean["r2"] - 0.05
    assert clean["residual_per_event"] < noisy["residual_per_event"]


def test_saturated_and_black_pixels_say_nothing():
    footage = waves()
    linear = footage.linear.clone()
    linear[2:4, :, :16] = torch.rand(2, 3, 16, SIZE)
    spoilt = of_footage(replace(footage, linear=linear), START)
    hidden = replace(footage, linear=linear, saturated=(linear != footage.linear).any(1))
    assert of_footage(hidden, START)["r2"] > 0.9 > spoilt["r2"]
    linear[2:4, :, :16] = 1e-4
    assert of_footage(replace(footage, linear=linear), START)["r2"] > 0.9


def test_events_per_pixel_and_frame():
    footage = waves()
    times = footage.times_ns(START)
    inside = (footage.events.t > times[0]) & (footage.events.t <= times[-1])
    count = float(inside.sum()) / (FRAMES - 1) / SIZE**2
    assert of_footage(footage, START)["events_per_pixel"] == pytest.approx(count, rel=0.1), "few are opposite"


def test_intervals_are_between_successive_events_of_a_pixel_of_one_polarity():
    rows = [(0, 1, 1, 1), (5, 1, 1, 1), (6, 2, 1, 1), (8, 1, 1, 0)]
    rows += [(11, 1, 1, 0), (12, 1, 1, 1), (20, 1, 1, 1)]
    t, x, y, p = np.array(rows).T
    order = np.random.default_rng(0).permutation(len(t))
    intervals = same_polarity_intervals(Events(t * 1_000_000, x, y, p)[order])
    assert sorted(intervals) == pytest.approx([0.003, 0.005, 0.008])


def test_what_a_recording_does_not_tell_is_nan():
    silent = replace(waves(), events=Events.empty(), exposure=np.zeros(FRAMES))
    statistics = of_footage(silent, START)
    assert statistics.pop("events_per_pixel") == 0
    assert all(math.isnan(value) for value in statistics.values())


GOOD = {"good": 1, "strange": 0, "skew": (0, 0), "distortion": (1, 1), "loses_packets": 0}
FAST = {"fps": (8, 12), "speed": (100, 200)}  # several events a pixel and frame


def simulated(**variety):
    """The first five sequences of a training with sensors that are good."""
    variety = Variety(mono=1, things=0, **GOOD, **FAST, **variety)
    simulator = BatchSimulator(32, 5, 5, torch.device("cpu"), variety)
    return list(of_training(SimulatedBatches(simulator, 3), 5))


def test_a_training_has_the_statistics_that_its_variety_says():
    contrast = {"contrast": (0.1, 0.1), "mismatch": (0, 0), "hot_pixels": (0, 0), "noise_rate": (0, 0)}
    rows = simulated(**contrast, exposure=(0.001, 0.001), refractory_us=(100, 200), changes_exposure=0)
    assert len(rows) == 5 and {frozenset(row) for row in rows} == {frozenset(STATISTICS)}
    on, off = (np.median([row[name] for row in rows]) for name in ("threshold_on", "threshold_off"))
    assert on == pytest.approx(0.1, abs=0.035) and off == pytest.approx(0.1, abs=0.035)
    assert [row["exposure"] for row in rows] == pytest.approx([0.001] * 5)
    # The pixel knows of a change when it has reached its threshold.
    assert -0.002 < np.median([row["latency"] for row in rows]) < 0.02
    for name in ("interval_0.1%", "interval_1%"):
        assert all(99e-6 <= row[name] <= 201e-6 for row in rows) and len({row[name] for row in rows}) == 5


def test_too_few_frames_tell_no_latency():
    simulator = BatchSimulator(32, 3, 5, torch.device("cpu"))
    (row,) = of_training(SimulatedBatches(simulator, 3), 1)
    assert math.isnan(row["latency"]) and math.isfinite(row["events_per_pixel"])


def test_a_changed_exposure_that_is_told_does_no_harm():
    told, untold = (simulated(changes_exposure=1, tells_exposure=share) for share in (1, 0))
    gained = [a["r2"] - b["r2"] for a, b in zip(told, untold, strict=True)]
    assert min(gained) > -0.01 and max(gained) > 0.05


def rows(**values):
    return dict.fromkeys(STATISTICS, 1.0) | values


def test_recordings_are_held_against_the_quantiles_of_the_training():
    training = [rows(r2=k / 100, latency=math.nan if k else 0.0) for k in range(101)]
    recordings = {"low": rows(r2=0.04, latency=0.01), "inside": rows(r2=0.9)}
    recordings["high"] = rows(r2=0.96, exposure=math.nan)
    compared = side_by_side(recordings, training)
    assert list(compared) == list(STATISTICS)
    assert compared["r2"]["training"] == pytest.approx({"5%": 0.05, "50%": 0.5, "95%": 0.95})
    within = {name: cell["within"] for name, cell in compared["r2"]["recordings"].items()}
    assert within == {"low": False, "inside": True, "high": False}
    assert compared["latency"]["training"]["95%"] == 0, "of the one sequence that tells it"
    head, first, *others = table(compared).splitlines()
    assert head.split() == ["low", "inside", "high", "train", "5%", "50%", "95%"]
    assert first.split()[-6:] == ["0.04<", "0.9", "0.96>", "0.05", "0.5", "0.95"]
    assert len({len(line) for line in (head, first, *others)}) == 1
    assert "nan?" in next(line for line in others if line.startswith("exposure"))
    with pytest.raises(InputError, match="no sequence of the training tells its r2"):
        side_by_side(recordings, [rows(r2=math.nan)])


@pytest.mark.parametrize(
    ("name", "r2", "latency"),
    [("demo-01", (0.65, 0.75), (0.003, 0.006)), ("street", (0.68, 0.78), (0.005, 0.009))],
)
def test_real_recordings(shared, name, r2, latency):
    statistics = of_footage(read_footage(shared / f"data/recordings/{name}.aedat4"), Timing())
    assert r2[0] < statistics["r2"] < r2[1]
    assert latency[0] < statistics["latency"] < latency[1]
    assert 1.1 < statistics["threshold_off"] / statistics["threshold_on"] < 1.3
    assert 0.8e-3 < statistics["interval_0.1%"] < statistics["interval_1%"] < 2.1e-3
