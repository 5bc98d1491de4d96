"""Packets decoded together give what they give one by one."""

from itertools import pairwise

import numpy as np
import pytest

from rehdr_ros.events import Clock, Events, Packet, make_decoder, make_encoder
from rehdr_ros.events.codecs import CODECS
from rehdr_ros.events.run import Run, runs

MS = 1_000_000


def packet(seq, data=b"", encoding="evt3", size=(64, 48), is_bigendian=False, stamp=None, time_base=0):
    stamp = seq * MS if stamp is None else stamp
    return Packet(stamp, *size, seq, time_base, encoding, data, is_bigendian)


def damaged_stream(encoding, seed):
    """Words of all kinds, packets that are cut, lost, repeated, or numbered anew, and odd stamps."""
    rng, seq, stamp, is_bigendian = np.random.default_rng(seed), 0, 10**18, False
    for _ in range(200):
        words = rng.integers(0, 256, rng.integers(0, 40) * 8, np.uint8)
        if rng.random() < 0.5 and encoding.startswith("evt"):
            words[7::8] = words[3::8] = rng.choice(np.array([0x08, 0x10, 0x80, 0x82], np.uint8))
        data = words.tobytes()[: rng.choice([None, None, None, -1, -7])]
        seq = int(rng.choice([seq + 1] * 30 + [seq, seq + 3, seq + 100, 0]))
        stamp += int(rng.choice([MS] * 30 + [0, -MS, 100 * 10**9, 10**14]))
        is_bigendian ^= rng.random() < 0.03
        base = (0, 10**9, 2**64 - 1)[rng.choice(3, p=[0.2, 0.7, 0.1])]
        yield packet(seq, data, encoding, is_bigendian=bool(is_bigendian), stamp=stamp, time_base=base)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("encoding", CODECS)
def test_runs_are_decoded_and_dated_as_their_packets_are(encoding, seed, assert_same_events):
    one_by_one, at_once = (make_decoder(encoding, 64, 48) for _ in range(2))
    clocks = Clock(), Clock()
    lengths = []
    for run in runs(damaged_stream(encoding, seed)):
        parts, dated, rows = [], [], []
        for each in run:
            parts.append(one_by_one.decode(each))
            dated.append(clocks[0].to_ros(each, parts[-1]))
            rows += [(t, i, e) for t, i, e in zip(*vars(one_by_one.triggers).values(), strict=True)]
        decoded = at_once.decode_run(run)
        assert_same_events(decoded.events, Events.concatenate(parts))
        assert decoded.ends.tolist() == np.cumsum([len(part) for part in parts]).tolist()
        assert rows == list(zip(*vars(at_once.triggers).values(), strict=True))
        assert at_once.counters == one_by_one.counters
        ours = clocks[1].run_to_ros(run, decoded)
        assert_same_events(ours.events, Events.concatenate(dated))
        assert ours.ends.tolist() == np.cumsum([len(part) for part in dated]).tolist()
        assert clocks[1].estimate == clocks[0].estimate
        lengths.append(len(run))
    assert clocks[1].misdated == clocks[0].misdated
    assert clocks[1].contradictions == clocks[0].contradictions
    assert max(lengths) > 5 and min(lengths) < max(lengths)


@pytest.mark.parametrize(
    ("changed", "follows"),
    [
        ({}, True),
        ({"seq": 7}, True),
        ({"seq": 6}, False),
        ({"seq": 9}, False),
        ({"encoding": "evt2"}, False),
        ({"size": (64, 49)}, False),
        ({"is_bigendian": True}, False),
    ],
)
def test_what_follows_a_packet(changed, follows):
    assert packet(**{"seq": 8, **changed}).follows(packet(7)) is follows


def test_no_packet_waits_behind_many_bytes_or_many_packets():
    large = [packet(seq, bytes(10_000)) for seq in range(20)]
    small = [packet(seq) for seq in range(20, 1000)]
    stream = large + small
    lengths = [len(run) for run in runs(stream)]
    assert lengths[:2] == [7, 7] and sum(lengths) == 1000
    assert 1 < max(lengths) <= 64
    joined = [each for run in runs(stream) for each in run]
    assert joined == stream and all(b.follows(a) for a, b in pairwise(joined))
    assert not Run().full


def test_data_in_any_buffer_joins_a_run():
    events = Events(np.arange(1, 5) * 1000, np.arange(4), np.arange(4), np.arange(4) % 2)
    encoder = make_encoder("evt3", 64, 48)
    data = np.asarray(encoder.encode(events).data)
    kinds = data, data.tobytes(), bytearray(data), memoryview(data.view("<u2")), data.tobytes() + b"-"
    (run,) = runs(packet(seq, kind) for seq, kind in enumerate(kinds))
    decoder = make_decoder("evt3", 64, 48)
    decoded = decoder.decode_run(run)
    assert decoded.ends.tolist() == [4, 8, 12, 16, 20]
    assert decoded.events.x.tolist() == [*range(4)] * 5
    assert decoder.counters["truncated"] == 1
