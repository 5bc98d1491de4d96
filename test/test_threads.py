import subprocess
import sys
import threading

import pytest
import torch

from rehdr_ros.network import head_start
from rehdr_ros.network.contract import Stream
from rehdr_ros.network.event_fit import explained_sums
from rehdr_ros.network.head_start.reference import initial_state
from rehdr_ros.threads import in_bands

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
with threads.threads(1):
    print(*threads.in_bands(lambda first, end: end - first, 300, 4))
"""


@pytest.fixture
def torch_threads():
    """A function that sets torch's number of threads, as it is again afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize(("claimed", "expected"), [(True, "3 1 3"), (False, "3 3 3")])
def test_convolutions_have_all_threads_and_the_rest_one_where_the_process_is_ours(
    tiny_weights, claimed, expected
):
    """At the convolutions, after them and after the step; in a process of its own, as it stays claimed."""
    program = PROGRAM.format(claimed=claimed, weights=str(tiny_weights))
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert printed.stdout.splitlines() == [expected, "100 100 100"]


@pytest.mark.parametrize(("rows", "bands"), [(1, 1), (100, 1), (130, 2), (257, 4), (1000, 4)])
def test_bands_are_all_rows_in_order_and_begin_at_multiples(torch_threads, rows, bands):
    torch_threads(4)
    seen = in_bands(lambda first, end: (first, end), rows, 8)
    assert len(seen) == bands
    assert [first for first, _ in seen] == [0, *(end for _, end in seen[:-1])] and seen[-1][1] == rows
    assert all(first % 8 == 0 and end > first for first, end in seen)


def test_threads_share_the_bands_and_a_fault_in_one_is_raised(torch_threads):
    torch_threads(2)
    both = threading.Barrier(2, timeout=60)
    in_bands(lambda first, end: both.wait(), 128, 1)

    def fail(first: int, end: int) -> None:
        if first:
            raise ValueError("in the second")

    with pytest.raises(ValueError, match="in the second"):
        in_bands(fail, 128, 1)


@pytest.mark.parametrize("modelled", [False, True])
@pytest.mark.parametrize("clipped", [False, True])
def test_any_number_of_threads_makes_the_same_head_start(torch_threads, modelled, clipped):
    """To the bit: else a recording would differ from machine to machine."""
    torch.manual_seed(0)
    size = 330, 52
    ldr = [torch.rand(1, 3, *size) * 1.3 for _ in range(4)]
    ldr = [frame.clamp_max(1) if clipped else 0.5 * frame for frame in ldr]
    voxel = [torch.randint(-2, 3, (1, 5, *size)) * (torch.rand(1, 5, *size) < 0.3).float() for _ in range(4)]
    timed = Stream(seconds=torch.tensor([0.03]))

    def run(threads: int) -> list[torch.Tensor]:
        torch_threads(threads)
        state, found = initial_state(ldr[0]), []
        for frame, grid in zip(ldr, voxel, strict=True):
            if modelled:
                state = state._replace(fit=explained_sums(ldr[0]))
            for sparse in (True, False):
                inputs, new, evidence = head_start.prepare(frame, grid, state, timed, True, sparse)
                found += [*inputs, *new, *evidence.fit, *evidence[1:]]
            state = new
        return found

    alone = run(1)
    for threads in (2, 3, 5):
        assert all(map(torch.equal, run(threads), alone))
