"""A codec is a module and its entry in the registry: packets and RAW files of it need nothing else."""

from types import SimpleNamespace

import numpy as np
import pytest

from rehdr_ros.events import Events, Packet, Receiver, make_encoder, warm_up
from rehdr_ros.events.codecs import CODECS, evt2
from rehdr_ros.jit import sealed
from rehdr_ros.recordings import open_recording

COUNT = np.arange(9000)
EVENTS = Events(COUNT * 10_000, COUNT % 64, COUNT % 48, COUNT % 2)


class Decoder(evt2.Decoder):
    """evt2 with the type of each word in its lowest bits, and not in its highest."""

    def _words(self, *data):
        words = super()._words(*data)
        return sealed(words >> 4 | words << 28)


@pytest.fixture
def words(monkeypatch):
    """Those of EVENTS in an encoding evt4, which is then known."""
    raw = evt2.RAW._replace(name="EVT4", kind=0, high=4)
    monkeypatch.setitem(CODECS, "evt4", SimpleNamespace(Decoder=Decoder, RAW=raw))
    words = make_encoder("evt2", 64, 48).encode(EVENTS).data.view("<u4")
    return (words << 4 | words >> 28).tobytes()


def test_packets_of_another_codec(words, assert_same_events):
    warm_up("evt4")
    receiver = Receiver("sensor")
    assert_same_events(receiver.receive(Packet(0, 64, 48, 0, 0, "evt4", words)), EVENTS)
    receiver.receive(Packet(0, 64, 48, 2, 0, "evt4", words))
    assert receiver.counters["lost_packets"] == 1


def test_raw_files_of_another_codec(words, tmp_path, assert_same_events):
    path = tmp_path / "a.raw"
    path.write_bytes(b"% format EVT4;height=48;width=64\n% end\n" + words)
    recording = open_recording(path)
    assert recording.encoding == "evt4"
    assert_same_events(Events.concatenate(recording.events()), EVENTS)
