import json

import pytest

from rehdr_ros.cli.benchmark_node import _FPS, _stream
from rehdr_ros.events import make_decoder


def test_node_tells_every_stage_beside_the_network(rehdr, tiny_weights):
    options = ("--size", "46x34", "--rate", "0.2", "--device", "cpu", "--weights", tiny_weights, "--json")
    outcome = rehdr("benchmark", "node", *options)
    assert outcome.code == 0, outcome.err
    figures = {name.removeprefix("46x34 "): row for name, row in json.loads(outcome.out)["figures"].items()}
    stages = ["decode", "voxel", "network", "tonemap", "pack", "between"]
    assert list(figures) == [*stages, "all but the network", "events"]
    assert sum(figures[stage]["share"] for stage in stages) == pytest.approx(1)
    own = sum(figures[stage]["ms"] for stage in stages if stage != "network")
    assert figures["all but the network"]["ms"] == pytest.approx(own)
    assert figures["all but the network"]["ratio_to_network"] == pytest.approx(own / figures["network"]["ms"])
    assert figures["events"]["a_frame"] == pytest.approx(0.2e6 / 30, abs=2)


def test_the_stream_holds_the_rate_in_packets_of_a_millisecond():
    decoder = make_decoder("evt3", 46, 34)
    previous = 0
    for sample, packets in _stream(46, 34, 0.5):
        assert len(packets) <= 1000 / _FPS + 1
        times = [t for packet in packets for t in decoder.decode(packet).t.tolist()]
        assert times == sorted(times)
        assert len(times) == pytest.approx(0.5e-3 * (sample.stamp_ns - previous), abs=2)
        previous = sample.stamp_ns


@pytest.mark.parametrize("option", [("--size", "346"), ("--size", "0x10"), ("--rate", "-1"), ("--rate", "fast")])
def test_a_wrong_size_or_rate_is_said_in_one_line(rehdr, option):
    outcome = rehdr("benchmark", "node", *option)
    assert outcome.code == 2
    assert option[0] in outcome.err and len(outcome.err.splitlines()) == 1
