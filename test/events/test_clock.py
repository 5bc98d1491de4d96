import pytest

from rehdr_ros.events import Clock, Events, Packet

STAMP = 1_700_000_000 * 10**9


def packet(stamp_ns, seq=0, encoding="evt3", time_base=0):
    return Packet(stamp_ns, 64, 64, seq, time_base, encoding, b"")


def events(*times):
    return Events(times, [0] * len(times), [0] * len(times), [0] * len(times))


def test_the_first_packet_with_events_anchors_the_stream():
    clock = Clock()
    assert len(clock.to_ros(packet(STAMP - 5), Events.empty())) == 0
    assert clock.to_ros(packet(STAMP, seq=1), events(700, 900)).t.tolist() == [STAMP, STAMP + 200]
    late = clock.to_ros(packet(STAMP + 99_999, seq=2), events(1000))
    assert late.t.tolist() == [STAMP + 300]


def test_every_mono_packet_has_its_own_anchor():
    clock = Clock()
    for stamp, time_base in ((STAMP, 5000), (STAMP + 77, 9000)):
        converted = clock.to_ros(packet(stamp, 0, "mono", time_base), events(time_base + 3, time_base + 4))
        assert converted.t.tolist() == [stamp + 3, stamp + 4]


@pytest.mark.parametrize("encoding", ["evt3", "mono"])
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


@pytest.mark.parametrize("jump", [-17 * 10**9, 17 * 10**9])
def test_a_sensor_time_that_damaged_data_has_moved_is_anchored_anew(jump):
    clock = Clock()
    clock.to_ros(packet(STAMP, seq=1), events(20 * 10**9))
    moved = clock.to_ros(packet(STAMP + 10**6, seq=2), events(20 * 10**9 + jump, 20 * 10**9 + jump + 5))
    assert moved.t.tolist() == [STAMP + 10**6, STAMP + 10**6 + 5]


def test_an_unknown_clock_is_refused():
    with pytest.raises(ValueError, match="'host' or 'sensor'"):
        Clock("wall")
