import numpy as np
import pytest

from rehdr_ros.events import Events, Packet, make_decoder, make_encoder
from rehdr_ros.events.codecs import CODECS


@pytest.mark.parametrize("make", [make_decoder, make_encoder])
def test_unknown_encoding_is_named_with_the_known_ones(make):
    with pytest.raises(ValueError, match=r"'evt9'.*evt3.*mono"):
        make("evt9", 640, 480)


@pytest.mark.parametrize("encoding", CODECS)
@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 4096])
def test_any_bytes_decode_without_an_exception(encoding, length):
    random = np.random.default_rng(length)
    decoder = make_decoder(encoding, 320, 200)
    for seq in (0, 1, 2, 5, 6, 3, 3, 4):
        data = random.integers(0, 256, length, dtype=np.uint8).tobytes()
        base = int(random.integers(0, 2**63)) * 2
        events = decoder.decode(Packet(int(base), 320, 200, seq, base, encoding, data, seq % 2 == 0))
        assert len(events) == 0 or (events.x.max() < 320 and events.y.max() < 200 and events.p.max() <= 1)


@pytest.mark.parametrize("encoding", CODECS)
def test_every_kind_of_buffer_decodes_alike_and_stays_as_it_is(encoding, assert_same_events):
    events = Events(np.arange(50) * 1000, np.arange(50), np.arange(50), np.arange(50) % 2)
    data = make_encoder(encoding, 64, 64).encode(events).data.tobytes()
    unaligned = memoryview(b"-" + data)[1:]
    for kind in (data, bytearray(data), memoryview(data), unaligned, np.frombuffer(data, np.uint8).copy()):
        decoder = make_decoder(encoding, 64, 64)
        assert_same_events(decoder.decode(Packet(0, 64, 64, 0, 0, encoding, kind)), events)
        assert bytes(kind) == data


@pytest.mark.parametrize("encoding", CODECS)
def test_big_endian_words(encoding, assert_same_events):
    events = Events(np.arange(50) * 1000, np.arange(50), np.arange(50), np.arange(50) % 2)
    packet = make_encoder(encoding, 64, 64).encode(events)
    size = make_decoder(encoding, 64, 64).word.itemsize
    swapped = packet.data.reshape(-1, size)[:, ::-1].tobytes()
    decoder = make_decoder(encoding, 64, 64)
    assert_same_events(decoder.decode(Packet(0, 64, 64, 0, 0, encoding, swapped, True)), events)


@pytest.mark.parametrize("encoding", CODECS)
def test_decoded_events_outlive_the_next_packet(encoding, assert_same_events):
    first = Events(np.arange(50) * 1000, np.arange(50), np.arange(50), np.arange(50) % 2)
    second = Events(np.arange(50, 100) * 1000, np.arange(50)[::-1], np.arange(50), np.arange(50) % 2)
    encoder, decoder = make_encoder(encoding, 64, 64), make_decoder(encoding, 64, 64)
    decoded = decoder.decode(encoder.encode(first))
    decoder.decode(encoder.encode(second))
    assert_same_events(decoded, first)


@pytest.mark.parametrize("encoding", CODECS)
def test_a_part_of_a_word_is_counted(encoding):
    events = Events([1000], [1], [2], [1])
    data = make_encoder(encoding, 64, 64).encode(events).data.tobytes() + b"\x99"
    decoder = make_decoder(encoding, 64, 64)
    assert len(decoder.decode(Packet(0, 64, 64, 0, 0, encoding, data))) == 1
    assert decoder.counters["truncated"] == 1


@pytest.mark.parametrize("encoding", CODECS)
def test_lost_packets_are_counted(encoding):
    decoder = make_decoder(encoding, 64, 64)
    for seq in (7, 8, 11, 12, 0, 1, 3):  # 0: the driver started anew, nothing was lost
        decoder.decode(Packet(0, 64, 64, seq, 0, encoding, b""))
    assert decoder.counters["lost_packets"] == 2 + 1


@pytest.mark.parametrize("encoding", CODECS)
def test_encoder_numbers_and_stamps_its_packets(encoding):
    encoder = make_encoder(encoding, 64, 48)
    packets = [encoder.encode(Events([t], [1], [2], [1])) for t in (5000, 9000)]
    packets.append(encoder.encode(Events.empty(), stamp_ns=11))
    assert [packet.stamp_ns for packet in packets] == [5000, 9000, 11]
    assert [packet.seq for packet in packets] == [0, 1, 2]
    assert {(packet.encoding, packet.width, packet.height) for packet in packets} == {(encoding, 64, 48)}


@pytest.mark.parametrize("encoding", CODECS)
@pytest.mark.parametrize("events", [Events([0], [64], [0], [1]), Events([0], [0], [48], [1]), Events.empty()])
def test_encoder_refuses_what_no_packet_can_hold(encoding, events):
    with pytest.raises(ValueError):
        make_encoder(encoding, 64, 48).encode(events)
