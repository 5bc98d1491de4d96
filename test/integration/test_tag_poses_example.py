"""examples/tag_poses.py as a process, over DDS."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from live import ns_to_stamp
from sensor_msgs.msg import Image

from rehdr_ros.simulation.april_tags import HAS_TAGS, tag_finder
from rehdr_ros.simulation.hall import HallScene

EXAMPLE = Path(__file__).parents[2] / "examples" / "tag_poses.py"
WIDTH, HEIGHT = 346, 260

if not HAS_TAGS:
    pytest.skip("this OpenCV knows no AprilTags; 4.7 does", allow_module_level=True)


@pytest.fixture
def example():
    process = subprocess.Popen([sys.executable, str(EXAMPLE), "--ros-args", "-p", "size:=0.5"])
    yield process
    process.kill()
    process.wait()


def image(pixels: np.ndarray, encoding: str, stamp_ns: int) -> Image:
    message = Image(
        height=HEIGHT, width=WIDTH, encoding=encoding, step=pixels.strides[0], data=pixels.tobytes()
    )
    message.header.stamp, message.header.frame_id = ns_to_stamp(stamp_ns), "camera"
    return message


def test_tags_that_are_sure_have_a_pose(example, client):
    """The yard of the hall at its exposure: tags 0 and 1 of a sign that faces the camera, 0 not sure."""
    view = HallScene(HEIGHT, WIDTH, 75.0, np.random.default_rng(7)).render(3.0)
    picture = np.rint(255 * np.clip(view / 8, 0, 1) ** (1 / 2.2)).astype(np.uint8)
    sigma = np.full((HEIGHT, WIDTH), 0.2, np.float32)
    found = dict(tag_finder()(picture))
    cv2.fillConvexPoly(sigma, found[0].astype(np.int32), 3.0)

    poses = {0: [], 1: []}
    for number, messages in poses.items():
        client.create_subscription(PoseStamped, f"/tags/tag36h11_{number}", messages.append, 10)
    outputs = [client.create_publisher(Image, t, 10) for t in ("/tonemapped/image_raw", "/hdr/uncertainty")]
    assert client.wait_until(lambda: all(output.get_subscription_count() for output in outputs))
    stamp = 0

    def publish_until_found() -> bool:
        nonlocal stamp
        stamp += 50_000_000
        outputs[1].publish(image(sigma, "32FC1", stamp))
        outputs[0].publish(image(picture, "rgb8", stamp))
        client.spin(0.1)
        return bool(poses[1])

    assert client.wait_until(publish_until_found)
    client.spin(0.5)
    assert poses[0] == []
    pose = poses[1][0]
    assert pose.header.frame_id == "camera" and pose.header.stamp.nanosec % 50_000_000 == 0
    focal = WIDTH / 2 / np.tan(np.deg2rad(30))
    side = np.linalg.norm(np.diff(found[1], axis=0), axis=1).mean()
    middle = found[1].mean(0) - (WIDTH / 2, HEIGHT / 2)
    place = pose.pose.position
    assert place.z == pytest.approx(focal * 0.5 / side, rel=0.05)
    assert (place.x, place.y) == pytest.approx(tuple(middle * place.z / focal), abs=0.03)
