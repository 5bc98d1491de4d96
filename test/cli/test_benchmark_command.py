import json

import pytest
import yaml

from rehdr_ros.cli.benchmarks.node import simulated_stream
from rehdr_ros.events import make_decoder
from rehdr_ros.network import load_checkpoint
from rehdr_ros.network.cost import layers


def test_node_tells_every_stage_beside_the_network(rehdr, tiny_weights):
    options = ("--size", "46x34", "--rate", "0.2", "--seconds", "0.5", "--clipped", "0.3")
    network = ("--device", "cpu", "--weights", tiny_weights)
    outcome = rehdr("benchmark", "node", *options, *network, "--json")
    assert outcome.code == 0, outcome.err
    figures = {name.removeprefix("46x34 "): row for name, row in json.loads(outcome.out)["figures"].items()}
    stages = ["decode", "voxel", "network", "tonemap", "pack", "between"]
    jpeg = "JPEG, where somebody subscribes to it"
    assert list(figures) == [*stages, "all but the network", jpeg, "events", "clipped", "live"]
    assert figures[jpeg]["ms"] > 0  # in no stage
    assert sum(figures[stage]["share"] for stage in stages) == pytest.approx(1)
    own = sum(figures[stage]["ms"] for stage in stages if stage != "network")
    assert figures["all but the network"]["ms"] == pytest.approx(own)
    assert figures["all but the network"]["ratio_to_network"] == pytest.approx(own / figures["network"]["ms"])
    assert figures["clipped"]["share"] == pytest.approx(0.3, abs=0.05)
    assert figures["events"]["a_frame"] == pytest.approx(0.2e6 / 30, abs=2)
    live = figures["live"]
    assert live["offered_per_second"] == 30 and live["frames_per_second"] > 0
    assert 0 < live["latency_ms"] <= live["latency_p99_ms"]


def test_node_tells_outputs_between_the_frames(rehdr, tiny_weights):
    options = ("--size", "46x34", "--rate", "0.2", "--seconds", "0.5", "--output-rate", "100")
    outcome = rehdr("benchmark", "node", *options, "--device", "cpu", "--weights", tiny_weights, "--json")
    assert outcome.code == 0, outcome.err
    figures = json.loads(outcome.out)["figures"]
    without, between = (figures[f"46x34 live, latest{end}"] for end in ("", ", 100 Hz"))
    assert 0 <= between["share_in_time"] <= 1.1 and between["skipped_outputs"] >= 0
    assert without["skipped_frames"] >= 0 and between["skipped_frames"] >= 0


def test_network_stands_beside_eager_float32_and_the_roofline(rehdr):
    options = ("--networks", "rehdr_t", "--sizes", "46x34", "--device", "cpu", "--repeat", "1", "--json")
    outcome = rehdr("benchmark", "network", *options, "--engine", "pytorch", "--precision", "float32")
    assert outcome.code == 0, outcome.err
    ((name, row),) = json.loads(outcome.out)["figures"].items()
    assert name == "rehdr_t 46x34, PyTorch"
    assert row["gflop"] == pytest.approx(
        sum(layer.flop for layer in layers(load_checkpoint("rehdr_t").config, 46, 34)) / 1e9
    )
    assert row["share_of_roofline"] == pytest.approx(row["roofline_ms"] / row["ms"])
    assert row["ratio_to_float32"] > 0 and row["difference"] <= 1e-2


def test_training_stands_beside_one_that_simulates_every_batch(rehdr, tmp_path):
    network = {"base_channels": 4, "scales": 2, "residual_blocks": 1}
    small = {"network": network, "batch": 2, "frames": 2, "size": 16, "reuse": 2}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(small))
    options = ("--config", tmp_path / "small.yaml", "--set", "frames=3", "--device", "cpu", "--repeat", "1")
    outcome = rehdr("benchmark", "training", *options, "--json")
    assert outcome.code == 0, outcome.err
    figures = json.loads(outcome.out)["figures"]
    kept = ["sequences kept in memory", "sequences kept in a folder"]
    simulated = "each batch simulated"
    assert list(figures) == [simulated, "each drawn 2 times", *kept, f"{simulated}, float32"]
    assert figures[simulated]["ratio"] == 1
    for row in figures.values():
        ratio = row["frames_per_second"] / figures[simulated]["frames_per_second"]
        assert row["ratio"] == pytest.approx(ratio) and row["step_ms"] > 0
        whole = 1e3 * 2 * 3 / row["frames_per_second"]
        assert row["simulation_share"] == pytest.approx(max(0, 1 - row["step_ms"] / whole))


@pytest.mark.parametrize("clipped", [0.2, 0.0])
def test_the_stream_holds_the_rate_in_packets_of_a_millisecond(clipped):
    decoder = make_decoder("evt3", 46, 34)
    previous = 0
    for sample, packets in simulated_stream(46, 34, rate=0.5, fps=30.0, seconds=1.0, clipped=clipped):
        assert len(packets) <= 1000 / 30 + 1
        assert clipped or sample.ldr.max() < 250
        times = [t for packet in packets for t in decoder.decode(packet).t.tolist()]
        assert times == sorted(times)
        assert len(times) == pytest.approx(0.5e-3 * (sample.stamp_ns - previous), abs=2)
        previous = sample.stamp_ns


@pytest.mark.parametrize("what", ["node", "network", "events"])
def test_settings_of_a_training_are_refused_elsewhere(rehdr, what):
    outcome = rehdr("benchmark", what, "--set", "precision=float32")
    assert outcome.code != 0 and len(outcome.err.splitlines()) == 1
    assert f"--set goes with training, not with {what}" in outcome.err


@pytest.mark.parametrize(
    "name, value", [("size", "346"), ("size", "0x10"), ("rate", "-1"), ("rate", "fast"), ("clipped", "1")]
)
def test_a_wrong_size_rate_or_share_is_said_in_one_line(rehdr, name, value):
    outcome = rehdr("benchmark", "node", f"--{name}", value)
    assert outcome.code == 2
    assert f"--{name}" in outcome.err and len(outcome.err.splitlines()) == 1
