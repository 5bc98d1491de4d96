import numpy as np
import pytest

from rehdr_ros.recordings.results.video import AnimationWriter


def test_an_animation_is_a_webp_of_its_frames(tmp_path):
    frames = [np.full((40, 60, 3), level, np.uint8) for level in (20, 120, 220)]
    with AnimationWriter(tmp_path / "clip.webp", fps=10) as clip:
        for frame in frames:
            clip.write(frame)
        with pytest.raises(ValueError, match="60x40"):
            clip.write(np.zeros((40, 80, 3), np.uint8))
    data = (tmp_path / "clip.webp").read_bytes()
    assert data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    assert data.count(b"ANMF") == 3
    loops = data.index(b"ANIM") + 12
    assert int.from_bytes(data[loops : loops + 2], "little") == 0, "for ever"
    chunk = data.index(b"ANMF")
    assert int.from_bytes(data[chunk + 20 : chunk + 23], "little") == 100  # ms
