from dataclasses import replace

import pytest
import torch

from rehdr_ros.network import Rehdr, RehdrConfig, load_checkpoint, save_checkpoint
from rehdr_ros.network.head_start.composition import OUTPUTS
from rehdr_ros.training import calibration
from rehdr_ros.training.calibration import calibrated, expansion, factor, main
from rehdr_ros.training.sequence import Sequence, collate
from rehdr_ros.training.unrolled import unroll


@pytest.fixture(params=["compact", "full"])
def network(request):
    return Rehdr(RehdrConfig(form=request.param, base_channels=2)).eval()


def bright_and_explained(above):
    """A stream whose events tell a rise in exposed pixels exactly, and what clips, `above` nat brighter."""
    ldr, voxel = torch.full((8, 3, 32, 32), 0.1), torch.zeros(8, 5, 32, 32)
    for k in range(1, 8):
        rise = 1.0 if k % 2 else -1.0
        ldr[k, :, :16] = 0.1 * torch.e ** (rise > 0)
        voxel[k, 2, :16] = 4 * rise
    ldr[:, :, 16:] = 1.0
    truth = ldr.clone()
    truth[:, :, 16:] = torch.e**above
    return Sequence(ldr, voxel, truth, torch.ones(8), torch.full((8,), 0.05))


def last(network, sequence):
    """The last frame's estimate."""
    with torch.inference_mode():
        *_, estimate = unroll(network, collate([sequence]))
    return estimate


def last_estimate(network, sequence):
    """nat above white, where nothing is known."""
    return last(network, sequence).radiance[0, 0, 31, 31].log().item()


def guess(network, sequence, above):
    """Let the network estimate `above` nat above the frame where nothing is known."""
    bias = (
        network.body.prediction.bias
        if network.config.form == "compact"
        else network.body.prediction.conv.bias
    )
    bound = 0.1 + 0.7
    with torch.no_grad():
        missing = above - last_estimate(network, sequence)
        bias[: len(bias) // OUTPUTS] = torch.atanh(torch.tensor(missing / bound))


def test_the_expansion_is_what_the_estimate_lies_too_low_by_where_events_explain_the_frames(network):
    """An estimate of 0.75 nat is 0.25 above where expansions begin."""
    sequence = bright_and_explained(0.85)
    guess(network, sequence, 0.75)
    found = expansion(network, [sequence])
    assert found == pytest.approx(0.4, abs=0.051)
    errors = [abs(last_estimate(calibrated(network, expansion=by), sequence) - 0.85) for by in (0.0, found)]
    assert errors[1] < 0.02 < 0.09 < errors[0]


def test_where_events_explain_little_nothing_is_expanded(network):
    sequence = bright_and_explained(2.0)
    guess(network, sequence, 0.75)
    sequence = replace(sequence, voxel=torch.zeros_like(sequence.voxel))
    assert expansion(network, [sequence]) == 0.0
    plain, expanded = (
        torch.stack([e.radiance for e in unroll(calibrated(network, expansion=by), collate([sequence]))])
        for by in (0.0, 1.0)
    )
    assert torch.equal(plain, expanded)


def test_the_factor_lets_68_per_cent_of_the_errors_lie_within(network):
    """Every error is the same, so that sigma must become that."""
    sequence = bright_and_explained(1.2)
    by = factor(network, [sequence])
    assert abs(by - 1) > 0.1
    assert factor(calibrated(network, sigma=by), [sequence]) == pytest.approx(1, rel=0.01)


def test_sigma_is_scaled_as_far_as_the_events_are_believed_and_the_radiance_stays(network):
    sequence = bright_and_explained(2.0)
    without = replace(sequence, voxel=torch.zeros_like(sequence.voxel))
    for events, low, high in ((sequence, 0.5, 0.51), (without, 0.55, 1.0)):
        before, after = (last(x, events) for x in (network, calibrated(network, sigma=0.5)))
        assert torch.equal(after.radiance, before.radiance)
        ratio = (after.sigma / before.sigma)[0, 0]
        assert (low <= ratio[16:]).all() and (ratio[16:] <= high).all()
        assert (ratio[:16] == 1).all()  # exposed


def test_a_training_goes_without_either(network):
    sequence = bright_and_explained(2.0)
    guess(network, sequence, 0.75)
    network = calibrated(network, expansion=1.0, sigma=0.5)
    without = calibrated(network, expansion=0.0, sigma=1.0)
    evaluated, plain = last(network, sequence), last(without, sequence)
    trained, other = last(network.train(), sequence), last(without.train(), sequence)
    assert torch.equal(trained.radiance, other.radiance) and torch.equal(trained.sigma, other.sigma)
    assert (evaluated.radiance > plain.radiance * 1.1).any() and (evaluated.sigma < plain.sigma).any()


def test_a_network_of_other_bins_is_calibrated(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(calibration, "SEQUENCES", 1)
    save_checkpoint(
        Rehdr(RehdrConfig(form="compact", base_channels=2, bins=3)), tmp_path / "trained.safetensors"
    )
    main([str(tmp_path / "trained.safetensors"), "-o", str(tmp_path / "new.safetensors")])
    network = load_checkpoint(tmp_path / "new.safetensors")
    assert network.config.bins == 3 and f"sigma times {network.config.sigma}" in capsys.readouterr().out


def test_a_network_that_gives_no_radiance_above_white_is_refused(tmp_path, capsys):
    weights = tmp_path / "published.safetensors"
    save_checkpoint(Rehdr(RehdrConfig(base_channels=2, radiance="relative")), weights)
    with pytest.raises(SystemExit) as error:
        main([str(weights), "-o", str(tmp_path / "new.safetensors")])
    assert error.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{weights}: only" in line


@pytest.mark.parametrize(
    "words, problem",
    [
        ("no.safetensors -o x.safetensors", "not found"),
        ("rehdr_t no/folder -o x.safetensors", "not a folder"),
        ("rehdr_t -o x.pt", "must end in .safetensors"),
    ],
)
def test_what_is_not_there_or_of_another_kind_is_told_in_a_line(words, problem, capsys):
    with pytest.raises(SystemExit) as error:
        main(words.split())
    assert error.value.code == 2
    assert problem in capsys.readouterr().err.splitlines()[-1]
