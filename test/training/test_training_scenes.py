import numpy as np
import pytest
import torch

from rehdr_ros.recordings import write_exr
from rehdr_ros.simulation.batch_scene import TEXTURE
from rehdr_ros.training.scenes import VALIDATION_SCENES, Scenes

PANORAMA = np.random.default_rng(0).uniform(0.1, 10, (16, 32, 3)).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    """One panorama; the validation scenes can't be read."""
    write_exr(tmp_path / "panorama.exr", PANORAMA)
    for name in VALIDATION_SCENES:
        (tmp_path / f"{name}_1k.hdr").write_text("must not be read")
    (tmp_path / "SOURCES.txt").write_text("no scene")
    return tmp_path


def draws(scenes, count, seed=0):
    rng = np.random.default_rng(seed)
    return [scenes.draw(rng) for _ in range(count)]


def first_of_a_file(scenes, seed=0):
    """The first background that is no canvas: canvases have detail everywhere, these files have blocks."""
    return next(b for b in draws(scenes, 12, seed) if (b.radiance[0, :4] == b.radiance[0, 0]).all())


def log_luminance(background):
    return background.radiance.mean(2).log().numpy()


def test_two_thirds_come_from_the_folder_and_never_from_the_validation_scenes(folder):
    backgrounds = draws(Scenes(folder), 24)
    assert 10 <= sum(b.is_panorama for b in backgrounds) <= 21
    for background in backgrounds:
        assert background.radiance.shape == (*TEXTURE, 3) and background.radiance.dtype == torch.float32
        assert background.radiance.isfinite().all() and (background.radiance >= 0).all()


def test_without_a_folder_all_scenes_are_procedural():
    assert not any(b.is_panorama for b in draws(Scenes(), 8))


def test_a_draw_is_a_function_of_its_random_numbers(folder):
    first, again, other = (draws(Scenes(folder), 3, seed) for seed in (0, 0, 1))
    for a, b in zip(first, again, strict=True):
        assert a.is_panorama == b.is_panorama
        assert torch.equal(a.radiance, b.radiance)
    assert not any(torch.equal(a.radiance, b.radiance) for a, b in zip(first, other, strict=True))


def test_a_scene_comes_in_ever_other_colours_and_dynamic_ranges(folder):
    backgrounds = [b for b in draws(Scenes(folder), 30) if b.is_panorama]
    ranges = np.array([log_luminance(b).std() for b in backgrounds])
    assert ranges.max() > 1.3 * ranges.min()
    colours = np.stack([(b.radiance.mean((0, 1)) / b.radiance.mean()).numpy() for b in backgrounds])
    assert (colours.std(0) > 0.05).all()
    order = {tuple(np.argsort(colour)) for colour in colours}
    assert len(order) >= 3
    # And yet it stays the same scene: bright is bright.
    structure = np.corrcoef([log_luminance(b).ravel()[::97] for b in backgrounds])
    assert structure.min() > 0.7


def test_signs_are_in_their_share_of_the_scenes(folder):
    plain, some, all_of_them = (draws(Scenes(folder, signs=signs), 1, 5) for signs in (0, 0.001, 1))
    assert torch.equal(plain[0].radiance, some[0].radiance)
    assert not torch.equal(plain[0].radiance, all_of_them[0].radiance)


@pytest.mark.parametrize("shape", [(100, 80), (40, 200)])
def test_what_is_no_panorama_is_cut_to_the_texture_s_shape(tmp_path, shape):
    """The middle stays, half of it dark, and nothing is stretched."""
    height, width = shape
    photo = np.full((*shape, 3), 1000, np.float32)
    rows, columns = slice(height // 2 - 20, height // 2 + 20), slice(width // 2 - 40, width // 2 + 40)
    photo[rows, columns] = 1
    photo[rows, width // 2 : width // 2 + 40] = 9
    write_exr(tmp_path / "photo.exr", photo)
    background = first_of_a_file(Scenes(tmp_path))
    assert not background.is_panorama and background.radiance.shape == (*TEXTURE, 3)
    left, right = np.split(background.radiance.numpy(), 2, axis=1)
    np.testing.assert_allclose(left[:, :-13], np.broadcast_to(left[0, 0], left[:, :-13].shape), rtol=1e-4)
    np.testing.assert_allclose(right[:, 13:], np.broadcast_to(right[0, -1], right[:, 13:].shape), rtol=1e-4)
    assert 9**0.25 * 0.99 < right[0, -1, 0] / left[0, 0, 0] < 9**1.5 * 1.01


def test_values_that_no_light_has_are_mended(tmp_path):
    photo = np.ones((16, 32, 3), np.float32)
    photo[0, 0], photo[8, 8], photo[15, 30] = -1, np.nan, np.inf
    write_exr(tmp_path / "photo.exr", photo)
    backgrounds = [b for b in draws(Scenes(tmp_path), 6) if b.is_panorama]
    assert backgrounds
    for background in backgrounds:
        assert background.radiance.isfinite().all() and (background.radiance >= 0).all()


def test_a_folder_that_is_not_there_or_has_no_scene_is_refused(folder):
    with pytest.raises(ValueError, match="gone.*not a folder"):
        Scenes(folder / "gone")
    (folder / "panorama.exr").unlink()
    with pytest.raises(ValueError, match="no .hdr or .exr"):
        Scenes(folder)


def test_the_validation_scenes_exist(shared):
    names = [path.name for path in (shared / "data/hdri").iterdir()]
    for scene in VALIDATION_SCENES:
        assert any(name.startswith(scene) for name in names)
