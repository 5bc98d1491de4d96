import subprocess
import sys

import pytest

PROGRAM = """
import torch
from rehdr_ros import threads
from rehdr_ros.network import Stream, load_checkpoint
from rehdr_ros.network.engines.cpu import CpuEngine, for_inference

if {claimed}:
    threads.claim()
torch.set_num_threads(3)
network = for_inference(load_checkpoint({weights!r}))
seen, compose = [], network.compose
network.body.register_forward_pre_hook(lambda *_: seen.append(torch.get_num_threads()))
network.compose = lambda *args: seen.append(torch.get_num_threads()) or compose(*args)
CpuEngine(network).step(torch.ones(1, 3, 40, 48), torch.zeros(1, network.config.bins, 40, 48), None, Stream())
print(*seen, torch.get_num_threads())
"""


@pytest.mark.parametrize(("claimed", "expected"), [(True, "3 1 3"), (False, "3 3 3")])
def test_convolutions_have_all_threads_and_the_rest_one_where_the_process_is_ours(
    tiny_weights, claimed, expected
):
    """At the convolutions, after them and after the step; in a process of its own, as it stays claimed."""
    program = PROGRAM.format(claimed=claimed, weights=str(tiny_weights))
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert printed.stdout.strip() == expected
