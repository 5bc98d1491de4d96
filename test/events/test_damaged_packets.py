import os
from pathlib import Path

import numpy as np
import pytest

from rehdr_ros.events import Events, Packet, make_decoder, make_encoder
from rehdr_ros.events.codecs import CODECS, ENCODERS
from rehdr_ros.recordings import BagRecording

WIDTH, HEIGHT = 320, 200
BAGS = "evt3_640x480", "libcaer_640x480_rollover", "libcaer_cmp_346x260"
OFTEN = np.array([0, 1, 2, 3, 4, 5, 6, 8, 10], np.uint8)

pytestmark = pytest.mark.filterwarnings("error")


def check(decoder, packet):
    """Decode, and return how many bytes that took."""
    events, triggers = decoder.decode(packet), decoder.triggers
    columns = [events.t, events.x, events.y, events.p, triggers.t, triggers.id, triggers.edge]
    if len(events):
        assert events.x.max() < decoder.width and events.y.max() < decoder.height and events.p.max() <= 1
    if len(triggers):
        assert triggers.edge.max() <= 1
    assert {len(column) for column in columns[:4]} == {len(events)}
    assert min(decoder.counters.values()) >= 0
    return sum(column.nbytes for column in columns)


def random_data(random, encoding, length):
    """Random bytes; in half of the cases with more of the words that a decoder knows."""
    data = random.integers(0, 256, length, dtype=np.uint8)
    if random.random() < 0.5:
        size = {"evt2": 4, "evt3": 2, "libcaer_cmp": 2, "evt21_legacy": 4}.get(encoding, 8)
        top = data[size - 1 :: size]
        top[:] = random.choice(OFTEN, len(top)) << 4 | top & 0xF
    return data.tobytes()


def random_packets(random, encoding, count, longest):
    """Any contents, stamps and time_base; numbers that count on, skip and step back."""
    seq = 0
    for _ in range(count):
        seq = int(random.choice([seq + 1, seq, seq + 3, 5, random.integers(0, 2**64, dtype=np.uint64)]))
        seq = min(seq, 2**64 - 1)
        stamp, base = random.integers(-(2**63), 2**63), random.integers(0, 2**64, dtype=np.uint64)
        data = random_data(random, encoding, random.integers(0, longest + 1))
        yield Packet(int(stamp), WIDTH, HEIGHT, seq, int(base), encoding, data, bool(random.random() < 0.1))


def with_flipped_bits(random, packets, count):
    for seq in range(count):
        packet = packets[seq % len(packets)]
        data = np.frombuffer(packet.data, np.uint8).copy()
        for at in random.integers(0, 8 * len(data), random.integers(1, 20)):
            data[at // 8] ^= 1 << at % 8
        fields = packet.stamp_ns, packet.width, packet.height, seq, packet.time_base
        yield Packet(*fields, packet.encoding, data)


@pytest.mark.parametrize("encoding", CODECS)
def test_any_bytes_decode_to_events_inside_the_image(encoding):
    random = np.random.default_rng(1)
    decoder = make_decoder(encoding, WIDTH, HEIGHT)
    for packet in random_packets(random, encoding, 3000, 200):
        check(decoder, packet)
    for packet in random_packets(random, encoding, 30, 20_000):
        check(decoder, packet)
    assert decoder.counters["truncated"] > 0 and decoder.counters["lost_packets"] > 0


@pytest.mark.parametrize("encoding", ENCODERS)
def test_flipped_bits_of_encoded_packets(encoding):
    random = np.random.default_rng(2)
    encoder, decoder = make_encoder(encoding, WIDTH, HEIGHT), make_decoder(encoding, WIDTH, HEIGHT)
    packets = []
    for start in range(0, 10**9, 10**8):
        t = start + np.sort(random.integers(0, 10**5, 500)) * 1000
        columns = (random.integers(0, size, 500) for size in (WIDTH, HEIGHT, 2))
        packets.append(encoder.encode(Events(t, *columns)))
    for packet in with_flipped_bits(random, packets, 2000):
        check(decoder, packet)


@pytest.mark.parametrize("bag", BAGS)
def test_flipped_bits_of_recorded_packets(shared, bag):
    packets = list(BagRecording(shared / "data/bags" / bag).packets())
    decoder = make_decoder(packets[0].encoding, packets[0].width, packets[0].height)
    for packet in with_flipped_bits(np.random.default_rng(3), packets, 300):
        check(decoder, packet)


@pytest.mark.parametrize("encoding", ["evt2", "evt21", "evt21_legacy", "evt3"])
def test_stamps_that_swing_from_end_to_end(encoding):
    decoder = make_decoder(encoding, WIDTH, HEIGHT)
    times_alone = bytes([0x88]) * 64
    for seq in range(3000):
        stamp = (2**63 - 1) * (-1) ** seq
        check(decoder, Packet(stamp, WIDTH, HEIGHT, seq, 0, encoding, times_alone))
    assert not any(decoder.counters.values())


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("encoding", CODECS)
def test_nothing_is_kept_of_what_was_decoded(encoding):
    random = np.random.default_rng(4)
    data = [random_data(random, encoding, 20_000) for _ in range(50)]
    decoder = make_decoder(encoding, 4096, 4096)

    def decode_all():
        return sum(check(decoder, Packet(0, 4096, 4096, 0, 0, encoding, each)) for each in data)

    decode_all()
    before, decoded = resident_bytes(), 0
    while decoded < 10e6:
        decoded += decode_all()
    assert resident_bytes() - before < decoded, "an event takes more than a byte"
