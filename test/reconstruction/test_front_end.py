"""Packets that wait and are decoded together make the frames that they make one by one."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from rehdr_ros.events import Events, Frame, Packet, Receiver, make_encoder
from rehdr_ros.reconstruction.config import PipelineConfig
from rehdr_ros.reconstruction.front_end import FrontEnd
from rehdr_ros.reconstruction.synchronizer import Synchronizer

MS = 1_000_000
START = 10**18
IMAGE = np.zeros((48, 64, 3), np.uint8)


def stream(seed, kind):
    """Half a second of packets, one a ms, and frames.

    damaged: lost, shuffled, cut, numbered anew. looped: from a fifth of a second back on, but the first one.
    """
    rng, encoder, packets = np.random.default_rng(seed), make_encoder("evt3", 64, 48), []
    for ms in range(500):
        t = np.sort(rng.integers(0, MS // 1000, rng.integers(0, 30))) * 1000 + ms * MS
        x, y, p = (rng.integers(0, n, len(t)) for n in (64, 48, 2))
        packets.append(encoder.encode(Events(t, x, y, p), START + (ms + 1) * MS + int(rng.integers(0, MS))))
    if kind == "looped":
        again = [packets[180], *packets[100:300]]
        packets[300:] = [replace(packet, seq=seq) for seq, packet in enumerate(again)]
    if kind == "damaged":
        packets = [packet for packet in packets if rng.random() > 0.05]
        for k in rng.integers(0, len(packets) - 3, 20):
            packets[k], packets[k + 2] = packets[k + 2], packets[k]
        for k in rng.integers(0, len(packets), 20):
            packets[k] = replace(packets[k], data=bytes(packets[k].data)[:-3])
        anew = [replace(packet, seq=packet.seq - 300) for packet in packets[300:]]
        packets[300:] = anew if seed % 2 else [replace(p, width=32, height=24) for p in anew]
    for number, packet in enumerate(packets):
        yield packet
        if number % 33 == 20:
            yield Frame(packet.stamp_ns - 5 * MS, IMAGE, exposure_time_s=0.008)


def one_by_one(config, messages):
    """Jobs and counters of a synchronizer that gets the events of each packet as it comes."""
    receiver, synchronizer, jobs = Receiver(), Synchronizer(config), []
    for message in messages:
        if isinstance(message, Packet):
            events = receiver.receive(message)
            synchronizer.add_events(events, 0.0, receiver.restarted, receiver.size)
        else:
            synchronizer.add_frame(message, 0.0)
        jobs += iter(synchronizer.next, None)
    jobs += iter(partial(synchronizer.next, flush=True), None)
    return jobs, {**receiver.counters, **synchronizer.counters}


@pytest.mark.parametrize("megabytes", [0.003, 8])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["whole", "damaged", "looped"])
def test_jobs_are_those_of_single_packets(kind, seed, megabytes, assert_same_events):
    config = PipelineConfig(policy="all", buffer_megabytes=megabytes)
    front_end, messages = FrontEnd(config), list(stream(seed, kind))
    jobs = list(front_end.jobs(messages))
    expected, counters = one_by_one(config, messages)
    assert len(jobs) > 10 and sum(len(job.taken) for job in jobs) > 1000
    for job, other in zip(jobs, expected, strict=True):
        assert job.frame is other.frame and job.reset_reason == other.reset_reason
        assert (job.exposed, job.before, job.event_size) == (other.exposed, other.before, other.event_size)
        assert_same_events(job.events, other.events)
        assert_same_events(job.taken, other.taken)
    assert front_end.counters == counters
    assert any(counters.values()) == (kind != "whole" or megabytes < 1)
    assert any(job.reset_reason == "time stepped back" for job in jobs) == (kind == "looped")


def test_packets_wait_until_a_frame_needs_them_or_they_are_many():
    front_end = FrontEnd(PipelineConfig())
    messages = list(stream(0, "whole"))
    for message in messages[:10]:
        front_end.add(message)
    assert front_end.events == 0 and front_end.next(0.0) is None and front_end.events == 0
    assert front_end.counters["lost_packets"] == 0 and front_end.events > 0
    front_end.add(Frame(START + 12 * MS, IMAGE), arrived=1.0)
    for k, message in enumerate(messages[10:16]):
        front_end.add(message, arrived=2.0 + k)
    assert front_end.next(2.0).ready_at in (3.0, 4.0, 5.0)  # when the first came that ends behind the frame
    waiting = FrontEnd(PipelineConfig())
    packets = [message for message in messages if isinstance(message, Packet)]
    for packet in packets:
        waiting.add(packet)
    assert waiting.events > 0.7 * sum(len(Receiver().receive(packet)) for packet in packets)


@pytest.mark.parametrize("changed", [{"encoding": "evt9"}, {"width": 0}, {"encoding": "trigger"}])
def test_what_cannot_be_decoded_is_refused_when_it_comes(changed):
    front_end = FrontEnd(PipelineConfig())
    first, second = [message for message in stream(0, "whole") if isinstance(message, Packet)][:2]
    front_end.add(first)
    with pytest.raises(ValueError):
        front_end.add(replace(second, **changed))
    front_end.add(second)
    front_end.counters  # noqa: B018 - decodes what waits
    assert front_end.events == len(Receiver().receive(first)) + len(Receiver().receive(second))
