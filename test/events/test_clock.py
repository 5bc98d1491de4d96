import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehdr_ros.events import Clock, Events, Packet, make_decoder
from rehdr_ros.recordings import BagRecording

STAMP = 1_700_000_000 * 10**9
MS = 10**6
S = 10**9


def packet(stamp_ns, seq=0, encoding="evt3", time_base=0):
    return Packet(stamp_ns, 64, 64, seq, time_base, encoding, b"")


def events(*times):
    return Events(times, [0] * len(times), [0] * len(times), [0] * len(times))


def run(clock, sensor, stamps):
    """ROS time that the clock gives to each packet's only event."""
    return np.array(
        [
            int(clock.to_ros(packet(int(b), k), events(a)).t[0])
            for k, (a, b) in enumerate(zip(sensor, stamps, strict=True))
        ]
    )


def delayed(seed, seconds, rate, drift=0.0, jitter_ms=5.0):
    """Sensor times, true ROS times and exponentially delayed stamps."""
    sensor = (np.arange(seconds * rate) * (S / rate)).astype(np.int64) + 123_456_789
    true = STAMP + np.rint(sensor * (1 + drift)).astype(np.int64)
    delay = np.random.default_rng(seed).exponential(jitter_ms * MS, len(sensor)).astype(np.int64)
    return sensor, true, true + delay


def test_the_first_packet_with_events_anchors_the_stream():
    clock = Clock()
    assert clock.estimate is None
    assert len(clock.to_ros(packet(STAMP - 5), Events.empty())) == 0
    assert clock.to_ros(packet(STAMP, seq=1), events(700, 900)).t.tolist() == [STAMP, STAMP + 200]
    late = clock.to_ros(packet(STAMP + 99_999, seq=2), events(1000))
    assert late.t.tolist() == [STAMP + 300]
    assert clock.estimate == (STAMP - 700, None)


@pytest.mark.parametrize("drift", [0.0, 100e-6, -100e-6])
@pytest.mark.parametrize("rate, seed, most", [(1000, 0, 0.35), (250, 1, 0.35), (100, 2, 0.35), (30, 3, 1.0)])
def test_drift_and_jitter_cost_less_than_a_millisecond(drift, rate, seed, most):
    sensor, true, stamps = delayed(seed, 15, rate, drift)
    clock = Clock()
    error = np.abs(run(clock, sensor, stamps) - true)
    assert error[2 * rate :].max() < most * MS
    assert error[rate : 2 * rate].max() < 1 * MS
    assert clock.estimate[1] == pytest.approx(drift, abs=60e-6 if rate == 30 else 20e-6)


def test_a_packet_of_less_delay_than_ever_moves_the_offset_at_once_and_leaves_the_drift_alone():
    sensor = np.arange(0, 8 * S, 10 * MS)
    stamps = STAMP + sensor + 10 * MS
    stamps[400] -= 7 * MS
    clock = Clock()
    ros = run(clock, sensor, stamps)
    assert (ros[:400] == stamps[:400]).all()
    assert (ros[400:] == STAMP + sensor[400:] + 3 * MS).all()
    assert clock.estimate == (STAMP + 3 * MS, 0.0)


def test_a_lasting_delay_is_forgotten_after_ten_seconds():
    sensor = np.arange(0, 25 * S, 20 * MS)
    stamps = STAMP + sensor + np.where(sensor < 5 * S, 0, 20 * MS)
    ros = run(Clock(), sensor, stamps)
    assert ros[-1] - stamps[-1] == 0


@pytest.mark.parametrize("step", [40 * MS, 500 * MS, 990 * MS])
def test_a_host_s_clock_that_is_set_forward_is_followed_after_a_second(step):
    """By NTP, as machines without a buffered clock do after they started."""
    sensor, true, stamps = delayed(0, 20, 200, drift=50e-6, jitter_ms=1)
    late = np.where(sensor < 6 * S, 0, step)
    clock = Clock()
    error = np.abs(run(clock, sensor, stamps + late) - (true + late))
    assert error[(sensor < 6 * S) | (sensor > 7.3 * S)].max() < MS
    assert clock.contradictions == 1


def test_a_queue_that_fills_and_drains_is_no_step():
    sensor = np.arange(0, 12 * S, 5 * MS)
    waits = 400 * MS * np.clip(1.5 - np.abs(sensor / S - 6) / 2, 0, 1)  # whole for two seconds, but for
    waits *= 1 - 0.1 * (sensor // (200 * MS) % 2)  # what it is behind
    clock = Clock()
    error = np.abs(run(clock, sensor, STAMP + sensor + waits.astype(np.int64)) - STAMP - sensor)
    assert error.max() < 2 * MS, "the drift, at its most"
    assert clock.contradictions == 0


def test_packets_late_by_nearly_a_second_move_nothing():
    sensor = np.arange(0, 3 * S, 10 * MS)
    stamps = STAMP + sensor
    stamps[100:150] += 900 * MS
    clock = Clock()
    assert (run(clock, sensor, stamps) == STAMP + sensor).all()
    assert clock.contradictions == 0


def test_every_mono_packet_has_its_own_anchor():
    clock = Clock()
    for stamp, time_base in ((STAMP, 5000), (STAMP + 77, 9000)):
        converted = clock.to_ros(packet(stamp, 0, "mono", time_base), events(time_base + 3, time_base + 4))
        assert converted.t.tolist() == [stamp + 3, stamp + 4]


@pytest.mark.parametrize("encoding", ["evt3", "mono", "libcaer"])
def test_frames_stamped_by_the_sensor_need_no_shift(encoding):
    clock = Clock("sensor", offset_ns=11)
    assert clock.to_ros(packet(STAMP, 0, encoding, 50), events(60)).t.tolist() == [71]


def test_a_fixed_offset_is_added():
    assert Clock("host", -7).to_ros(packet(STAMP), events(700)).t.tolist() == [STAMP - 7]


@pytest.mark.parametrize("explicitly", [True, False])
def test_a_reset_or_a_new_stream_anchors_anew(explicitly):
    clock = Clock()
    clock.to_ros(packet(STAMP, seq=100), events(700))
    if explicitly:
        clock.reset()
    again = clock.to_ros(packet(STAMP + 10**9, seq=101 if explicitly else 0), events(5))
    assert again.t.tolist() == [STAMP + 10**9]


def test_a_pause_anchors_anew():
    clock = Clock()
    clock.to_ros(packet(STAMP, seq=1), events(0))
    again = STAMP + 11 * S + 8 * MS
    assert clock.to_ros(packet(again, seq=2), events(11 * S)).t.tolist() == [again]


@pytest.mark.parametrize("jump", [-17 * S, -2 * S, 60 * MS, 17 * S])
def test_a_damaged_sensor_time_is_put_where_its_stamp_is_and_moves_nothing_else(jump):
    clock = Clock()
    run(clock, np.arange(20 * S, 21 * S, MS), STAMP + np.arange(20 * S, 21 * S, MS))
    damaged = clock.to_ros(packet(STAMP + 21 * S, seq=1000), events(21 * S + jump, 21 * S + jump + 5))
    assert damaged.t.tolist() == [STAMP + 21 * S, STAMP + 21 * S + 5]
    after = clock.to_ros(packet(STAMP + 21 * S + 2 * MS, seq=1001), events(21 * S + MS))
    assert after.t.tolist() == [STAMP + 21 * S + MS]
    assert clock.contradictions == 1


@pytest.mark.parametrize("jump", [-17 * S, 6 * S, 17 * S])
def test_events_that_a_packet_can_not_hold_are_left_out_and_counted(jump):
    clock = Clock()
    converted = clock.to_ros(packet(STAMP), events(20 * S, 20 * S + 5, 20 * S + jump, 20 * S + 7))
    assert converted.t.tolist() == [STAMP, STAMP + 5, STAMP + 7]
    assert clock.misdated == 1


@pytest.mark.parametrize("jump", [-17 * S, 60 * MS, 17 * S])
def test_a_sensor_whose_time_has_moved_for_good_is_believed(jump):
    clock = Clock()
    run(clock, np.arange(20 * S, 21 * S, MS), STAMP + np.arange(20 * S, 21 * S, MS))
    for k in range(5):
        moved = clock.to_ros(packet(STAMP + 21 * S + k * MS, seq=1000 + k), events(21 * S + jump + k * MS))
        assert moved.t.tolist() == [STAMP + 21 * S + k * MS]
    late = clock.to_ros(packet(STAMP + 21 * S + 9 * MS, seq=1005), events(21 * S + jump + 5 * MS))
    assert late.t.tolist() == [STAMP + 21 * S + 5 * MS]


def test_a_first_packet_that_waited_long_is_corrected():
    sensor = np.arange(0, 100 * MS, MS)
    stamps = STAMP + sensor
    stamps[0] += 300 * MS
    assert (run(Clock(), sensor, stamps)[1:] == STAMP + sensor[1:]).all()


def test_a_real_recording_follows_the_lower_envelope_of_its_stamps(shared):
    clock, decoder = Clock(), make_decoder("evt3", 640, 480)
    lowest = None
    for p in BagRecording(shared / "data/bags/evt3_640x480").packets():
        decoded = decoder.decode(p)
        difference = p.stamp_ns - int(decoded.t[0])
        lowest = difference if lowest is None else min(lowest, difference)
        shift = int(clock.to_ros(p, decoded).t[0]) - int(decoded.t[0])
        assert abs(shift - lowest) < 0.5 * MS


TIMES = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(0, 10 * S))


@given(st.lists(st.tuples(TIMES, TIMES), max_size=40))
def test_no_time_raises_and_the_next_stream_is_right_again(pairs):
    clock = Clock()
    for seq, (sensor, stamp) in enumerate(pairs):
        assert len(clock.to_ros(packet(stamp, seq), events(sensor))) == 1
    for k in range(5):
        after = clock.to_ros(packet(STAMP + k, 100 + k), events(5 * S + k))
    assert after.t.tolist() == [STAMP + 4]


def test_it_never_looks_at_the_wall_clock():
    sensor, _, stamps = delayed(3, 5, 200)
    np.testing.assert_array_equal(run(Clock(), sensor, stamps), run(Clock(), sensor, stamps))


def test_an_unknown_clock_is_refused():
    with pytest.raises(ValueError, match="'host' or 'sensor'"):
        Clock("wall")
