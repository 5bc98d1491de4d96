"""Packets that wait to be decoded at once: what each costs besides its events is a call's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rehdr_ros.events.packet import Packet

_MOST_OCTETS, _MOST_PACKETS = 1 << 16, 64  # that wait: decoded in a tenth of a millisecond


class Run:
    """`packets`, each of which follows the one before (Packet.follows); `arrived`: monotonic s, of each."""

    def __init__(self) -> None:
        self.packets: list[Packet] = []
        self.arrived: list[float] = []
        self._octets = 0

    def precedes(self, packet: Packet) -> bool:
        """Whether this packet may join; any may join none."""
        return not self.packets or packet.follows(self.packets[-1])

    def append(self, packet: Packet, arrived: float = 0.0) -> None:
        """Another packet, which the run `precedes`."""
        self.packets.append(packet)
        self.arrived.append(arrived)
        self._octets += memoryview(packet.data).nbytes

    @property
    def full(self) -> bool:
        """Whether to wait for more would make a frame wait."""
        return self._octets >= _MOST_OCTETS or len(self.packets) >= _MOST_PACKETS


def runs(packets: Iterable[Packet]) -> Iterator[list[Packet]]:
    """All packets of one recording, in runs."""
    run = Run()
    for packet in packets:
        if run.full or not run.precedes(packet):
            yield run.packets
            run = Run()
        run.append(packet)
    if run.packets:
        yield run.packets
