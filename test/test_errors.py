"""Files that take their place whole."""

import pytest

from rehdr_ros.errors import replacing


def test_a_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "weights"
    path.write_text("before")
    with pytest.raises(OSError, match="weights"), replacing(path) as part:
        part.write_text("ha")
        raise OSError(28, "No space left on device")
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]
    with replacing(path) as part:
        part.write_text("after")
    assert path.read_text() == "after" and list(tmp_path.iterdir()) == [path]


def test_a_link_goes_on_leading_to_it_and_its_mode_stays(tmp_path):
    (tmp_path / "disk").mkdir()
    target, link = tmp_path / "disk" / "weights", tmp_path / "weights"
    link.symlink_to(target)
    for text in ("first", "second"):
        with replacing(link) as part:
            part.write_text(text)
        assert link.is_symlink() and target.read_text() == text
        target.chmod(0o640)
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_device_is_written_in_place():
    with replacing("/dev/stdout") as part:
        assert str(part) == "/dev/stdout"
