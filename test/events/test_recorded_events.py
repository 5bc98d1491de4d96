import numpy as np
import pytest

from rehdr_ros.events import Events, Packet, make_decoder
from rehdr_ros.recordings import BagRecording

RECORDINGS = {
    "evt3": ("evt3_640x480", "evt3_640x480"),
    "libcaer": ("libcaer_640x480_rollover", "libcaer_640x480"),
    "libcaer_cmp": ("libcaer_cmp_346x260", "libcaer_cmp_346x260"),
}


def read(shared, encoding):
    bag, golden = RECORDINGS[encoding]
    columns = np.load(shared / f"golden/events_{golden}.npz")
    packets = list(BagRecording(shared / "data/bags" / bag).packets())
    assert {packet.encoding for packet in packets} == {encoding}
    return packets, Events(columns["t_ns"], columns["x"], columns["y"], columns["p"])


def decoder_of(packets):
    return make_decoder(packets[0].encoding, packets[0].width, packets[0].height)


@pytest.fixture(scope="module")
def evt3(shared):
    return read(shared, "evt3")


@pytest.mark.parametrize("encoding", RECORDINGS)
def test_a_bag_decodes_to_its_golden_events(shared, encoding, assert_same_events):
    packets, golden = read(shared, encoding)
    decoder = decoder_of(packets)
    assert_same_events(Events.concatenate(map(decoder.decode, packets)), golden)
    assert not any(decoder.counters.values())


@pytest.mark.parametrize("encoding", ["libcaer", "libcaer_cmp"])
def test_dropped_packets_cost_only_themselves(shared, encoding, assert_same_events):
    packets, golden = read(shared, encoding)
    complete, decoder = decoder_of(packets), decoder_of(packets)
    sizes = [len(complete.decode(packet)) for packet in packets]
    kept = [decoder.decode(packet) for index, packet in enumerate(packets) if index % 5 != 4]
    assert_same_events(Events.concatenate(kept), golden[np.repeat(np.arange(len(packets)) % 5 != 4, sizes)])
    assert decoder.counters["lost_packets"] == (len(packets) - 1) // 5


@pytest.mark.parametrize("seed", range(3))
def test_packet_borders_do_not_matter_to_evt3(evt3, assert_same_events, seed):
    packets, golden = evt3
    words = np.concatenate([packet.data for packet in packets]).view("<u2")
    cuts = np.sort(np.random.default_rng(seed).integers(0, len(words), 2000))
    parts = [Packet(0, 640, 480, seq, 0, "evt3", part) for seq, part in enumerate(np.split(words, cuts))]
    assert_same_events(Events.concatenate(map(decoder_of(packets).decode, parts)), golden)


def test_dropped_packets_corrupt_nothing_of_evt3_and_cost_little_more_than_themselves(evt3):
    packets, golden = evt3
    complete, decoder = decoder_of(packets), decoder_of(packets)
    kept, expected = [], 0
    for index, packet in enumerate(packets):
        events = complete.decode(packet)
        if index % 5 != 4:
            kept.append(decoder.decode(packet))
            expected += len(events)
    kept = Events.concatenate(kept)
    rows = {*zip(golden.t.tolist(), golden.x.tolist(), golden.y.tolist(), golden.p.tolist(), strict=True)}
    columns = (column.tolist() for column in (kept.t, kept.x, kept.y, kept.p))
    assert rows.issuperset(zip(*columns, strict=True))
    assert len(kept) >= 0.99 * expected
    assert decoder.counters["lost_packets"] == (len(packets) - 1) // 5
    assert decoder.counters["unsynchronized"] == expected - len(kept)
