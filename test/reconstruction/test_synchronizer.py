import time
from itertools import islice

import numpy as np
import pytest

from rehdr_ros.events import Events, Exposure, Frame
from rehdr_ros.reconstruction import PipelineConfig
from rehdr_ros.reconstruction.synchronizer import Synchronizer

MS = 1_000_000
S = 1000 * MS


def settings(policy="all", megabytes=1.0, **others):
    return PipelineConfig(policy=policy, buffer_megabytes=megabytes, **others)


def synchronizer(*args, **options):
    return Synchronizer(settings(*args, **options))


def frame(stamp_ms, shape=(4, 6, 3), exposure=None):
    return Frame(stamp_ms * MS, np.zeros(shape, np.uint8), "camera", exposure_time_s=exposure)


def events(*times_ms):
    return Events(np.array(times_ms) * MS, *np.zeros((3, len(times_ms)), int))


def times(job):
    return (job.events.t // MS).tolist()


def t0(job):
    return job.before and job.before.middle


def jobs(sync, **options):
    taken = []
    while (job := sync.next(**options)) is not None:
        taken.append(job)
    return taken


def started(**options):
    """A synchroniser whose stream has begun: the frame at 10 ms has gone."""
    sync = synchronizer(**options)
    sync.add_frame(frame(10), 0.0)
    sync.add_events(events(10), 0.0)
    assert jobs(sync)[-1].reset_reason == "start"
    return sync


def test_a_frame_waits_until_events_have_passed_its_stamp():
    sync = started()
    sync.add_frame(frame(20), 0.0)
    sync.add_events(events(12, 19), 0.0)
    assert sync.next() is None
    sync.add_events(events(20, 21), 0.0)
    job = sync.next()
    assert (job.frame.stamp_ns, t0(job), times(job)) == (20 * MS, 10 * MS, [12, 19, 20])
    sync.add_frame(frame(30), 0.0)
    sync.add_events(events(31), 0.0)
    assert times(sync.next()) == [21]


def test_a_frame_that_comes_after_its_events_goes_at_once():
    sync = started()
    sync.add_events(events(15, 25), 0.0)
    sync.add_frame(frame(20), 0.0)
    assert times(sync.next()) == [15]


def test_frames_go_in_order_each_with_its_own_events():
    sync = started()
    for stamp in (20, 30, 40):
        sync.add_frame(frame(stamp), 0.0)
    sync.add_events(events(11, 21, 22, 31, 41), 0.0)
    assert [times(job) for job in jobs(sync)] == [[11], [21, 22], [31]]


def test_events_out_of_order_find_their_frame():
    sync = started()
    sync.add_events(events(25, 18), 0.0)
    sync.add_events(events(15, 12), 0.0)
    sync.add_frame(frame(20), 0.0)
    assert times(sync.next()) == [12, 15, 18]


def test_a_frame_goes_without_its_last_events_after_the_timeout():
    sync = started(event_timeout=0.1)
    sync.add_frame(frame(20), 5.0)
    sync.add_events(events(12), 5.0)
    assert sync.next(now=5.09) is None
    assert times(sync.next(now=5.11)) == [12]


def test_without_a_time_there_is_no_timeout():
    sync = started()
    sync.add_frame(frame(20), -1e9)
    assert sync.next() is None


def test_a_flush_lets_all_frames_go():
    sync = started()
    sync.add_frame(frame(20), 0.0)
    sync.add_frame(frame(30), 0.0)
    sync.add_events(events(15, 25), 0.0)
    assert [times(job) for job in jobs(sync, flush=True)] == [[15], [25]]


def test_the_first_frame_discards_the_events_before_it():
    sync = synchronizer()
    sync.add_events(events(1, 5, 10, 11), 0.0)
    sync.add_frame(frame(10), 0.0)
    job = sync.next()
    assert (t0(job), times(job), job.reset_reason) == (None, [], "start")
    sync.add_frame(frame(20), 0.0)
    sync.add_events(events(20), 0.0)
    job = sync.next()
    assert (t0(job), times(job), job.reset_reason) == (10 * MS, [11, 20], "")
    assert sync.counters["dropped_events"] == 0


def test_latest_skips_overtaken_frames_but_not_their_events():
    sync = started(policy="latest")
    for stamp in (20, 30, 40, 50):
        sync.add_frame(frame(stamp), 0.0)
    sync.add_events(events(11, 21, 31, 41), 0.0)
    (job,) = jobs(sync)
    assert (job.frame.stamp_ns, t0(job), times(job)) == (40 * MS, 10 * MS, [11, 21, 31])
    assert sync.skipped_frames == 2
    sync.add_events(events(50), 0.0)
    (job,) = jobs(sync)
    assert (t0(job), times(job)) == (40 * MS, [41, 50])


@pytest.mark.parametrize(("is_busy", "expected"), [(False, [510, 1010]), (True, [1010])])
def test_latest_skips_no_frame_that_waited_for_events_alone(is_busy, expected):
    """They had paused: all are complete at once, while the machine had nothing to do."""
    sync, now = started(policy="latest"), time.monotonic()
    if is_busy:
        sync.add_frame(frame(20), now)
        sync.add_events(events(20), now)
    assert len(list(islice(iter(sync.next, None), 1))) == is_busy  # which leaves it at work
    for stamp in (510, 1010):
        sync.add_frame(frame(stamp), now)
    sync.add_events(events(11, 1010), now)
    assert [job.frame.stamp_ns // MS for job in jobs(sync)] == expected
    assert sync.skipped_frames == 2 - len(expected)


def test_latest_goes_on_where_a_latency_leaves_frames_in_turn_without_their_events():
    sync, now = started(policy="latest", event_timeout=0.1), time.monotonic()
    assert sync.next(now) is None
    for stamp in (310, 610, 910):
        sync.add_frame(frame(stamp), now)
    sync.add_events(events(910), now)
    assert sync.next(now).frame.stamp_ns == 310 * MS
    sync.latency_ns = 700 * MS
    assert jobs(sync, now=now + 0.2)[-1].frame.stamp_ns == 910 * MS


def test_latest_skips_frames_that_nobody_asked_for_while_their_events_came():
    sync, now = started(policy="latest"), time.monotonic()
    assert sync.next() is None  # and then what takes them is held up by what follows it
    for stamp in (510, 1010):
        sync.add_frame(frame(stamp), now)
        sync.add_events(events(stamp), now + 1e-6 * stamp)
    assert [job.frame.stamp_ns // MS for job in jobs(sync)] == [1010]


def test_all_skips_nothing():
    sync = started(policy="all")
    stamps = list(range(20, 320, 10))
    for stamp in stamps:
        sync.add_frame(frame(stamp), 0.0)
        sync.add_events(events(stamp - 1), 0.0)
    sync.add_events(events(400), 0.0)
    taken = jobs(sync)
    assert [job.frame.stamp_ns // MS for job in taken] == stamps
    assert [times(job) for job in taken] == [[stamp - 1] for stamp in stamps]
    assert sync.counters["skipped_frames"] == sync.counters["dropped_events"] == 0


def test_a_queue_of_frames_without_events_stays_bounded():
    sync = started()
    for stamp in range(20, 1020, 10):
        sync.add_frame(frame(stamp), 0.0)
    gone = jobs(sync)
    waiting = jobs(sync, flush=True)
    assert len(gone) + len(waiting) + sync.skipped_frames == 100
    assert 0 < len(waiting) < 64 and gone[-1].frame.stamp_ns < waiting[0].frame.stamp_ns
    assert waiting[-1].frame.stamp_ns == 1010 * MS


def test_a_duplicate_is_skipped():
    sync = started()
    sync.add_frame(frame(10), 0.0)
    sync.add_frame(frame(20), 0.0)
    sync.add_frame(frame(20), 0.0)
    sync.add_events(events(20), 0.0)
    assert [job.frame.stamp_ns // MS for job in jobs(sync)] == [20]
    assert sync.skipped_frames == sync.duplicate_frames == 2


def test_a_frame_that_was_overtaken_on_its_way_is_skipped_and_disturbs_nothing():
    sync = started()
    sync.add_events(events(11, 101, 201, 301), 0.0)
    for stamp in (200, 100, 300):
        sync.add_frame(frame(stamp), 0.0)
    first, second = jobs(sync)
    assert (first.reset_reason, times(first)) == ("", [11, 101])
    assert (second.reset_reason, times(second)) == ("", [201])
    assert sync.skipped_frames == sync.overtaken_frames == 1


def test_a_small_step_back_that_goes_on_is_a_new_stream():
    sync = started()
    for stamp in (200, 100, 130, 160):
        sync.add_frame(frame(stamp), 0.0)
    taken = jobs(sync, flush=True)
    assert [job.frame.stamp_ns // MS for job in taken] == [200, 130, 160]
    assert [job.reset_reason for job in taken] == ["", "time stepped back", ""]
    assert sync.skipped_frames == 1


def test_packets_that_are_numbered_anew_leave_the_old_stream_behind():
    sync = started()
    sync.add_events(events(100, 500), 0.0)
    sync.add_events(events(11, 12), 0.0, restarted=True)
    assert sync.counters["dropped_events"] == 2
    sync.add_frame(frame(20), 0.0)
    assert sync.next() is None
    sync.add_events(events(20), 0.0)
    assert times(sync.next()) == [11, 12, 20]


def test_the_timeout_runs_by_the_clock_that_is_given():
    sync = started(event_timeout=0.1)
    waiting = frame(20)
    sync.add_frame(waiting, time.monotonic(), since=50.0)
    assert sync.next(now=50.09) is None
    assert sync.next(now=50.11).frame is waiting


@pytest.mark.parametrize("now", [50.0, 40.0], ids=["stands still", "steps back"])
def test_a_clock_that_does_not_run_holds_no_frame_for_ever(now):
    sync = started(event_timeout=0.1)
    waiting = frame(20)
    sync.add_frame(waiting, time.monotonic() - 10, since=50.0)
    assert sync.next(now=now).frame is waiting


def test_settings_can_change_while_frames_wait():
    sync = started(policy="all", event_timeout=10.0)
    for stamp in (20, 30):
        sync.add_frame(frame(stamp), 0.0)
    assert sync.next(now=1.0) is None
    sync.configure(settings("latest", event_timeout=0.5))
    (job,) = jobs(sync, now=1.0)
    assert job.frame.stamp_ns == 30 * MS
    assert sync.skipped_frames == 1


@pytest.mark.parametrize(
    "stamp_ms, shape, reason",
    [
        (-300, (4, 6, 3), "time stepped back"),
        (1500, (4, 6, 3), "gap of 1.49 s"),
        (20, (4, 7, 3), "new resolution"),
        (20, (4, 6), "new resolution"),
    ],
)
def test_an_interruption_starts_anew_and_says_why(stamp_ms, shape, reason):
    sync = started()
    sync.add_events(events(stamp_ms - 1, stamp_ms), 0.0)
    sync.add_frame(frame(stamp_ms, shape=shape), 0.0)
    (job,) = jobs(sync, flush=True)
    assert (job.reset_reason, t0(job), times(job)) == (reason, None, [])
    sync.add_frame(frame(stamp_ms + 10, shape=shape), 0.0)
    sync.add_events(events(stamp_ms + 5, stamp_ms + 10), 0.0)
    (job,) = jobs(sync)
    assert (job.reset_reason, times(job)) == ("", [stamp_ms + 5, stamp_ms + 10])


def test_a_gap_up_to_the_limit_is_none():
    sync = started(max_frame_gap=1.0)
    sync.add_frame(frame(1010), 0.0)
    assert [job.reset_reason for job in jobs(sync, flush=True)] == [""]


def test_a_reset_gives_its_reason_once_and_loses_nothing_that_waits():
    sync = started()
    sync.add_frame(frame(20), 0.0)
    sync.add_frame(frame(30), 0.0)
    sync.add_events(events(15), 0.0)
    sync.reset("service")
    sync.add_events(events(25, 30), 0.0)
    first, second = jobs(sync)
    assert (first.reset_reason, t0(first), times(first)) == ("service", None, [])
    assert (second.reset_reason, t0(second), times(second)) == ("", 20 * MS, [25, 30])


def test_clearing_forgets_what_waits():
    sync = started()
    sync.add_frame(frame(20), 0.0)
    sync.add_events(events(15, 19), 0.0)
    sync.clear()
    assert sync.next(flush=True) is None
    sync.add_frame(frame(30), 0.0)
    sync.add_events(events(30), 0.0)
    assert times(sync.next()) == [30]


def test_events_that_come_after_their_frame_are_counted():
    sync = started(event_timeout=0.1)
    sync.add_frame(frame(20), 0.0)
    assert times(sync.next(now=1.0)) == []
    sync.add_frame(frame(30), 0.0)
    sync.add_events(events(15, 20, 25, 30), 0.0)
    assert times(sync.next()) == [25, 30]
    assert sync.counters["dropped_events"] == sync.counters["late_events"] == 2


def test_events_beyond_the_memory_are_counted():
    sync = started(megabytes=1e-6 * 13 * 100)
    sync.add_frame(frame(1000), 0.0)
    for k in range(20, 320, 10):
        sync.add_events(events(*range(k, k + 10)), 0.0)
    (job,) = jobs(sync, flush=True)
    assert times(job) == list(range(220, 320))
    assert sync.counters["dropped_events"] == 200


@pytest.mark.parametrize("frames_first", [True, False])
def test_a_recording_that_loops_starts_anew(frames_first):
    sync = synchronizer(max_frame_gap=0.5)
    for reason in ("start", "time stepped back"):
        taken = []
        for stamp in range(5000, 8000, 100):
            if frames_first:
                sync.add_frame(frame(stamp), 0.0)
                taken += jobs(sync)
            sync.add_events(events(stamp - 50, stamp, stamp + 1), 0.0)
            if not frames_first:
                sync.add_frame(frame(stamp), 0.0)
            taken += jobs(sync)
        assert [job.frame.stamp_ns // MS for job in taken] == list(range(5000, 8000, 100))
        assert [job.reset_reason for job in taken] == [reason] + [""] * 29
        assert times(taken[1])[-2:] == [5050, 5100]
        for job in taken[2:]:
            stamp = job.frame.stamp_ns // MS
            assert times(job) == [stamp - 99, stamp - 50, stamp]


def test_events_that_start_over_are_not_mistaken_for_late_ones():
    sync = started()
    sync.add_events(events(60_000), 0.0)
    sync.add_events(events(5, 6), 0.0)
    sync.add_frame(frame(7), 0.0)
    assert sync.next() is None  # events of the old run beyond 7 ms don't count
    sync.add_events(events(8), 0.0)
    job = sync.next()
    assert (job.reset_reason, times(job)) == ("time stepped back", [])


def test_events_that_a_new_stream_leaves_behind_are_counted():
    sync = started()
    sync.add_events(events(60_000, 60_001), 0.0)
    sync.add_events(events(5, 6), 0.0)
    assert sync.counters["dropped_events"] == 2


def test_ready_is_when_the_last_message_it_needed_arrived():
    sync = started()
    sync.add_frame(frame(20), 1.0)
    sync.add_events(events(15), 2.0)
    sync.add_events(events(20), 3.0)
    sync.add_events(events(25), 4.0)
    assert sync.next().ready_at == 3.0
    sync.add_frame(frame(24), 5.0)
    assert sync.next().ready_at == 5.0


def test_an_unknown_policy_is_refused():
    with pytest.raises(ValueError, match="policy.*'newest'"):
        synchronizer("newest")


def test_frames_skipped_for_longer_than_a_gap_do_not_interrupt_the_stream():
    sync = started(policy="latest", max_frame_gap=0.5)
    # No two are further apart than 100 ms, but only the last one is processed.
    for stamp in range(110, 1511, 100):
        sync.add_frame(frame(stamp), 0.0)
    sync.add_events(events(100, 800, 1500, 1510), 0.0)
    (job,) = jobs(sync)
    assert (job.reset_reason, t0(job), times(job)) == ("", 10 * MS, [100, 800, 1500, 1510])
    assert sync.skipped_frames == 14


def test_an_interruption_before_a_skipped_frame_counts_for_the_next_one():
    sync = started(policy="latest", max_frame_gap=0.5)
    for stamp in (2000, 2100):
        sync.add_frame(frame(stamp), 0.0)
    sync.add_events(events(2050, 2100), 0.0)
    (job,) = jobs(sync)
    assert job.reset_reason == "gap of 1.99 s" and t0(job) is None and len(job.events) == 0


def test_a_packet_ahead_of_the_stream_lets_no_later_frame_go_early():
    sync = started()
    sync.add_events(events(900), 0.0)  # damaged
    sync.add_events(events(15), 0.0)
    sync.add_frame(frame(20), 0.0)
    assert sync.next() is None
    sync.add_events(events(18, 20), 0.0)
    assert times(sync.next()) == [15, 18, 20]


def test_a_packet_long_before_its_time_tells_nothing_alone():
    sync = started()
    sync.add_frame(frame(20), 0.0)
    sync.add_events(events(900), 0.0)  # damaged
    assert sync.next() is None and sync.passed_ns == 10 * MS
    sync.add_events(events(15, 21), 0.0)
    assert times(sync.next()) == [15]
    sync.add_frame(frame(1500), 0.0)
    sync.add_events(events(2100), 0.0)  # after a second without any
    assert sync.next() is None
    sync.add_events(events(2101), 0.0)
    assert sync.next().frame.stamp_ns == 1500 * MS


def test_packets_that_changed_places_still_let_the_frame_go():
    sync = started()
    sync.add_events(events(21), 0.0)
    sync.add_events(events(12), 0.0)
    sync.add_frame(frame(20), 0.0)
    assert times(sync.next()) == [12]


@pytest.mark.parametrize("stamp_is, shift", [("start", 0), ("middle", 4), ("end", 8)])
def test_a_frame_waits_for_the_end_of_its_exposure_and_shares_its_events(stamp_is, shift):
    sync = synchronizer(stamp_is=stamp_is)
    sync.add_events(events(5, 12, 17, 18, 19), 0.0)
    sync.add_frame(frame(10 + shift, exposure=0.008), 0.0)
    assert jobs(sync)[0].exposed == (10 * MS, 18 * MS)
    sync.add_frame(frame(20 + shift, exposure=0.008), 0.0)
    sync.add_events(events(21, 27), 0.0)
    assert sync.next() is None
    sync.add_events(events(28, 29), 0.0)
    job = sync.next()
    assert (job.frame.stamp_ns, t0(job), job.exposed.middle) == ((20 + shift) * MS, 14 * MS, 24 * MS)
    assert times(job) == [12, 17, 18, 19, 21, 27, 28]
    assert (job.taken.t // MS).tolist() == [19, 21, 27, 28]
    sync.add_frame(frame(30 + shift, exposure=0.008), 0.0)
    sync.add_events(events(38), 0.0)
    assert times(sync.next()) == [21, 27, 28, 29, 38]
    assert sync.late_events == 0


def test_an_exposure_that_comes_after_its_frame_still_counts():
    sync = synchronizer()
    sync.add_frame(frame(10), 0.0)
    sync.add_events(events(12), 0.0)
    sync.add_exposure(Exposure(10 * MS, 0.008, 0.004))
    assert sync.next() is None
    sync.add_events(events(14), 0.0)
    assert sync.next().exposed == (10 * MS, 14 * MS)
    sync.add_frame(frame(20), 0.0)  # tells none: as the one before
    sync.add_events(events(24), 0.0)
    assert sync.next(now=1.0).exposed == (20 * MS, 24 * MS)


def exposure(stamp_ms):
    return Exposure(stamp_ms * MS, 0.001 * stamp_ms, 0.004)


def times_told(sync, now=None):
    return [job.frame.effective_time_s for job in jobs(sync, now=now)]


def test_where_exposures_come_by_themselves_a_frame_waits_for_its_own():
    sync = synchronizer()
    sync.add_events(events(900), 0.0)
    sync.add_frame(frame(100), 0.0)
    assert times_told(sync) == [None]  # nobody knows of any yet
    sync.add_exposure(exposure(100))
    for stamp_ms in (200, 300):
        sync.add_frame(frame(stamp_ms), 5.0)
        assert times_told(sync, now=5.0) == []
        sync.add_exposure(exposure(stamp_ms), 5.5)
        job = sync.next(now=5.5)
        assert (job.frame.effective_time_s, job.ready_at) == (0.001 * stamp_ms, 5.5)
    assert sync.counters["unused_exposures"] == 1


def test_an_exposure_that_does_not_come_is_waited_for_until_the_next_frame_and_not_for_ever():
    sync = synchronizer()
    sync.add_events(events(2000), 0.0)
    for stamp_ms in range(100, 900, 100):
        sync.add_exposure(exposure(stamp_ms))
        sync.add_frame(frame(stamp_ms), 0.0)
        assert times_told(sync) == [0.001 * stamp_ms]
    sync.add_frame(frame(900), 5.0)
    assert times_told(sync, now=5.0) == []
    assert times_told(sync, now=9.0) == [None]
    gone = []
    for stamp_ms in range(1000, 1800, 100):
        sync.add_frame(frame(stamp_ms), 10.0)
        gone.append(len(times_told(sync, now=10.0)))
    assert gone == [0, 1, 1, 2, 1, 1, 1, 1]  # each with the next one, until half of the last eight had none


@pytest.mark.parametrize("every", [2, 4])
def test_where_few_exposures_are_told_no_frame_waits(every):
    sync = synchronizer()
    sync.add_events(events(99_000), 0.0)
    waited = 0
    for stamp_ms in range(1000, 5000, 100):
        sync.add_frame(frame(stamp_ms), 0.0)
        waited += not times_told(sync, now=0.0)
        if not stamp_ms % (100 * every):
            sync.add_exposure(exposure(stamp_ms))
            times_told(sync, now=0.0)
    assert waited <= 4
    assert sync.unused_exposures >= 40 // every - 2


def test_exposures_that_come_before_the_frames_of_a_loop_are_theirs():
    sync = synchronizer()
    sync.add_events(events(99_000), 0.0)
    sync.add_frame(frame(9000), 0.0)
    assert times_told(sync) == [None]
    sync.add_exposure(exposure(1000))
    sync.add_frame(frame(1000), 0.0)
    assert times_told(sync, now=9.0) == [1.0]


def test_exposures_without_a_frame_are_counted_and_a_problem_where_they_are_many():
    sync = synchronizer()
    sync.add_events(events(99_000), 0.0)
    for stamp_ms in range(1000, 31_000, 100):
        sync.add_exposure(Exposure(stamp_ms * MS + 1000, 0.001))  # 1 us off
        sync.add_frame(frame(stamp_ms), 0.0)
        assert times_told(sync) == [None]
    assert sync.counters["unused_exposures"] == 299  # the last one may be the next frame's
    assert sync.problem.startswith(
        "exposures miss their frames: 299 of 299 have no frame's stamp, or came when"
    )


def test_exposures_that_come_behind_the_next_frame_are_counted_at_once():
    sync = synchronizer()
    sync.add_events(events(99_000), 0.0)
    for stamp_ms in range(1000, 4000, 100):
        sync.add_frame(frame(stamp_ms), 0.0)
        assert times_told(sync) == [None]
        sync.add_exposure(exposure(stamp_ms - 100))
    assert sync.counters["unused_exposures"] == 30 and sync.problem


def test_of_what_came_without_frames_the_first_one_takes_the_last_half_second():
    sync = synchronizer()
    sync.add_events(events(*range(0, 5000, 10)), 0.0)
    sync.add_frame(frame(4900), 0.0)
    job = sync.next()
    assert (job.taken.t // MS).tolist() == list(range(4410, 4910, 10)) and not len(job.events)
    assert sync.late_events == 0


def test_frames_of_long_ago_are_no_problem():
    sync = started()
    for _ in range(400):
        sync.add_frame(frame(10), 0.0)
    assert sync.problem.startswith("frames repeat stamps: 300 of 300 ")
    for stamp_ms in range(20, 420):
        sync.add_frame(frame(stamp_ms), 0.0)
    assert sync.problem == "" and sync.duplicate_frames == 400


def test_with_a_latency_frames_take_later_events_and_none_is_lost_as_it_changes():
    sync = started()
    sync.latency_ns = 5 * MS
    sync.add_frame(frame(20), 0.0)
    sync.add_events(events(11, 22), 0.0)
    assert sync.next() is None
    sync.add_events(events(25, 26, 28, 29, 33), 0.0)
    job = sync.next()
    assert (job.frame.stamp_ns, times(job)) == (20 * MS, [11, 22, 25])
    sync.latency_ns = -2 * MS
    sync.add_frame(frame(30), 0.0)
    assert (sync.next().events.t // MS).tolist() == [26, 28]
    sync.add_frame(frame(34), 0.0)
    sync.add_events(events(40), 0.0)
    assert times(sync.next()) == [29]
    assert sync.late_events == 0


def test_frames_that_wait_follow_the_latency_whenever_they_came():
    sync = started()
    sync.add_frame(frame(20), 0.0)
    sync.add_events(events(11, 22), 0.5)
    sync.latency_ns = 5 * MS
    assert sync.next() is None
    sync.latency_ns = 1 * MS
    assert sync.next().ready_at == 0.5
    sync.add_frame(frame(30), 0.0)
    sync.latency_ns = 2 * MS
    sync.add_events(events(31), 0.0)
    assert sync.next() is None
    sync.add_events(events(32, 33), 0.0)
    job = sync.next()
    assert (times(job), job.latency_ns) == ([22, 31, 32], 2 * MS)


def test_a_frame_that_was_ready_stays_ready_since_then_as_the_latency_moves():
    """Else its latency would be told too short."""
    sync = started()
    sync.add_frame(frame(20), 0.0)
    sync.add_events(events(25), 0.5)
    sync.add_events(events(50), 3.0)
    sync.latency_ns = 1 * MS
    assert sync.next().ready_at == 0.5


def said(*times_ms):
    """The problem, after frames with these stamps."""
    sync = started()
    for at in times_ms:
        sync.add_frame(frame(at), 0.0)
    return sync.problem


def test_frames_that_repeat_stamps_are_a_problem_where_they_are_many():
    assert not said(*range(20, 60, 2))
    assert "19 of 21 have that of the frame before" in said(*[20] * 20)  # a driver that fills none
    assert "10 of 21 have" in said(*(at for at in range(20, 40, 2) for _ in "12"))  # pairs
    assert not said(20, 20, *range(22, 62, 2))


def test_frames_that_step_back_are_a_problem_where_they_are_many():
    assert "5 of 11 are before the last frame's" in said(
        *(k for at in range(100, 600, 100) for k in (at, at - 50))
    )
    assert not said(20, 18, *range(22, 62, 2))
