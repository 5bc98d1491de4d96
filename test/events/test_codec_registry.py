from array import array

import numpy as np
import pytest

from rehdr_ros.events import Events, Packet, make_decoder, make_encoder
from rehdr_ros.events.codecs import CODECS, ENCODERS

DIAGONAL = np.arange(50)
EVENTS = Events(DIAGONAL * 1000, DIAGONAL, DIAGONAL, DIAGONAL % 2)


def words(dtype, *columns):
    return np.stack(columns, 1).astype(dtype)


def write_evt21(us, x, y, p):
    return words("<u8", 8 << 60 | us >> 6 << 32, p << 60 | (us & 63) << 54 | x << 43 | y << 32 | 1)


WRITERS = {
    "evt21": write_evt21,
    "evt21_legacy": lambda *columns: np.ascontiguousarray(write_evt21(*columns).view("<u4")[:, [1, 0, 3, 2]]),
    "libcaer": lambda us, x, y, p: words("<u4", x << 17 | y << 2 | p << 1 | 1, us),
    "libcaer_cmp": lambda us, x, y, p: words(
        "<u2", us >> 12, 1 << 12 | us & 0xFFF, 2 << 12 | x, 3 << 12 | p << 11 | y
    ),
    "trigger": lambda us, number, _, edge: words("<u8", edge << 63 | number << 48 | us * 1000),
}


def written(encoding, events):
    if encoding in ENCODERS:
        packet = make_encoder(encoding, 64, 64).encode(events)
        assert packet.time_base == 0
        return packet.data.tobytes()
    columns = (column.astype(np.uint64) for column in (events.t // 1000, events.x, events.y, events.p))
    return WRITERS[encoding](*columns).tobytes()


def packet(encoding, data, seq=0, is_bigendian=False):
    return Packet(0, 64, 64, seq, 0, encoding, data, is_bigendian)


def decoded(decoder, packet):
    """The events or, of an encoding that has none, its triggers in their place."""
    events, triggers = decoder.decode(packet), decoder.triggers
    if packet.encoding != "trigger":
        return events
    assert len(events) == 0
    return Events(triggers.t, triggers.id, triggers.id, triggers.edge)


# What is known


@pytest.mark.parametrize(("make", "known"), [(make_decoder, list(CODECS)), (make_encoder, ENCODERS)])
def test_an_unknown_encoding_is_named_with_the_known_ones(make, known):
    with pytest.raises(ValueError, match=rf"'evt9'.*: {', '.join(known)}$"):
        make("evt9", 640, 480)


@pytest.mark.parametrize("encoding", sorted({*CODECS} - {*ENCODERS}))
def test_an_encoding_without_an_encoder_is_named_with_those_that_have_one(encoding):
    with pytest.raises(ValueError, match=rf"'{encoding}'.*: {', '.join(ENCODERS)}$"):
        make_encoder(encoding, 640, 480)


@pytest.mark.parametrize("encoding", CODECS)
@pytest.mark.parametrize("size", [(0, 480), (640, 0), (-1, 480), (4097, 480), (640, 2**32 - 1)])
def test_a_size_that_no_sensor_has_is_refused(encoding, size):
    with pytest.raises(ValueError, match="x".join(map(str, size))):
        make_decoder(encoding, *size)
    make_decoder(encoding, 4096, 4096)


def test_all_encodings_of_event_camera_msgs_are_known():
    expected = {"evt2", "evt21", "evt21_legacy", "evt3", "libcaer", "libcaer_cmp", "mono", "trigger"}
    assert set(CODECS) == expected
    assert set(ENCODERS) == {"evt2", "evt3", "mono"}


# Decoding


@pytest.mark.parametrize("encoding", CODECS)
def test_every_kind_of_buffer_decodes_alike_and_stays_as_it_is(encoding, assert_same_events):
    data = written(encoding, EVENTS)
    unaligned = memoryview(b"-" + data)[1:]
    owned = np.frombuffer(data, np.uint8).copy()
    kinds = bytearray(data), memoryview(data), unaligned, owned, array("B", data)
    for kind in (data, *kinds):
        assert_same_events(decoded(make_decoder(encoding, 64, 64), packet(encoding, kind)), EVENTS)
        assert bytes(kind) == data


@pytest.mark.parametrize("encoding", CODECS)
def test_big_endian_words(encoding, assert_same_events):
    decoder = make_decoder(encoding, 64, 64)
    swapped = np.frombuffer(written(encoding, EVENTS), decoder.word).byteswap().tobytes()
    assert_same_events(decoded(decoder, packet(encoding, swapped, is_bigendian=True)), EVENTS)


@pytest.mark.parametrize("encoding", CODECS)
def test_decoded_events_outlive_the_next_packet(encoding, assert_same_events):
    others = Events(EVENTS.t, EVENTS.x[::-1], EVENTS.y[::-1], EVENTS.p)
    decoder = make_decoder(encoding, 64, 64)
    first = decoded(decoder, packet(encoding, written(encoding, EVENTS)))
    decoded(decoder, packet(encoding, written(encoding, others), seq=1))
    assert_same_events(first, EVENTS)


@pytest.mark.parametrize("encoding", CODECS)
def test_a_part_of_a_word_is_left_out_and_counted(encoding, assert_same_events):
    decoder = make_decoder(encoding, 64, 64)
    for part in range(1, decoder.word_bytes):
        data = written(encoding, EVENTS[:1]) + b"\x99" * part
        assert_same_events(decoded(decoder, packet(encoding, data)), EVENTS[:1])
        assert decoder.counters["truncated"] == part
    assert sum(decoder.counters.values()) == part


@pytest.mark.parametrize("encoding", CODECS)
def test_lost_packets_are_counted(encoding):
    decoder = make_decoder(encoding, 64, 64)
    for seq in (7, 8, 11, 11, 12, 0, 1, 3):  # 0: the driver started anew, nothing was lost
        decoder.decode(packet(encoding, b"", seq))
    assert decoder.counters["lost_packets"] == 2 + 1


@pytest.mark.parametrize("encoding", CODECS)
def test_reset_keeps_the_counters_and_expects_any_number(encoding):
    decoder = make_decoder(encoding, 64, 64)
    decoder.decode(packet(encoding, b"-", seq=7))
    decoder.reset()
    decoder.decode(packet(encoding, b"", seq=70))
    assert (decoder.counters["truncated"], decoder.counters["lost_packets"]) == (1, 0)


# Encoding


@pytest.mark.parametrize("encoding", ENCODERS)
def test_encoder_numbers_and_stamps_its_packets(encoding):
    encoder = make_encoder(encoding, 64, 48)
    packets = [encoder.encode(Events([t], [1], [2], [1])) for t in (5000, 9000)]
    packets.append(encoder.encode(Events.empty(), stamp_ns=11))
    assert [packet.stamp_ns for packet in packets] == [5000, 9000, 11]
    assert [packet.seq for packet in packets] == [0, 1, 2]
    assert {(packet.encoding, packet.width, packet.height) for packet in packets} == {(encoding, 64, 48)}
    assert len(packets[2].data) == 0


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize(
    "events",
    [
        Events([0], [64], [0], [1]),
        Events([0], [0], [48], [1]),
        Events([-1000], [0], [0], [1]),
        Events.empty(),
    ],
)
def test_encoder_refuses_what_no_packet_can_hold(encoding, events):
    encoder = make_encoder(encoding, 64, 48)
    with pytest.raises(ValueError):
        encoder.encode(events)
    assert encoder.encode(Events([0], [0], [0], [1])).seq == 0
