"""A ROS node that finds AprilTags (36h11) in the tone-mapped image, and publishes where they are.

    python examples/tag_poses.py --ros-args -p size:=0.2

A tag whose pixels are less sure than most_uncertain (stops) is left out. Without a calibration on
tonemapped/camera_info (of a lens as plumb_bob and rational_polynomial have it) field_of_view (degrees,
across) stands for it.
"""

from contextlib import suppress
from functools import partial

import cv2
import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image


class TagPoses(Node):
    """Publishes tags/tag36h11_ID, PoseStamped in the camera's frame, for each tag that it finds."""

    def __init__(self):
        super().__init__("tag_poses")
        size = self.declare_parameter("size", 0.2).value / 2  # m, of the black border
        self._corners = size * np.array([(-1, 1, 0), (1, 1, 0), (1, -1, 0), (-1, -1, 0)])
        self._most_uncertain = self.declare_parameter("most_uncertain", 1.0).value
        self._field_of_view = self.declare_parameter("field_of_view", 60.0).value
        dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)
        if hasattr(cv2.aruco, "ArucoDetector"):
            self._detect = cv2.aruco.ArucoDetector(dictionary).detectMarkers
        else:  # OpenCV before 4.7
            self._detect = partial(cv2.aruco.detectMarkers, dictionary=dictionary)
        self._info, self._waiting, self._outputs = None, {}, {}
        for kind, topic in (("picture", "tonemapped/image_raw"), ("sigma", "hdr/uncertainty")):
            self.create_subscription(Image, topic, lambda message, k=kind: self._pair(k, message), 10)
        self.create_subscription(CameraInfo, "tonemapped/camera_info", self._on_info, 10)

    def _on_info(self, info: CameraInfo) -> None:
        self._info = info

    def _pair(self, kind: str, message: Image) -> None:
        """Both images of a frame have its stamp; which comes first doesn't matter."""
        stamp = message.header.stamp.sec, message.header.stamp.nanosec
        pair = self._waiting.setdefault(stamp, {})
        pair[kind] = message
        if len(pair) == 2:
            self._publish(**self._waiting.pop(stamp))
        while len(self._waiting) > 10:
            self._waiting.pop(next(iter(self._waiting)))

    def _publish(self, picture: Image, sigma: Image) -> None:
        rgb = np.frombuffer(picture.data, np.uint8).reshape(picture.height, picture.width, -1)
        stops = np.frombuffer(sigma.data, np.float32).reshape(sigma.height, sigma.width)
        grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) if rgb.shape[2] == 3 else rgb[..., 0]
        corners, numbers, _ = self._detect(grey)
        for number, quad in zip([] if numbers is None else numbers.ravel(), corners, strict=True):
            inside = cv2.fillConvexPoly(np.zeros_like(grey), quad.astype(np.int32), 1) == 1
            if np.median(stops[inside]) > self._most_uncertain:
                continue
            topic = f"tags/tag36h11_{number}"
            if topic not in self._outputs:
                self._outputs[topic] = self.create_publisher(PoseStamped, topic, 10)
            self._outputs[topic].publish(self._pose(quad[0], picture))

    def _pose(self, quad: np.ndarray, picture: Image) -> PoseStamped:
        focal = picture.width / 2 / np.tan(np.deg2rad(self._field_of_view) / 2)
        camera = np.array([[focal, 0, picture.width / 2], [0, focal, picture.height / 2], [0, 0, 1]])
        distortion = None
        if self._info is not None and self._info.k[0] > 0:  # else the driver has no calibration
            camera, distortion = self._info.k.reshape(3, 3), np.array(self._info.d)
        _, turn, place = cv2.solvePnP(self._corners, quad, camera, distortion, flags=cv2.SOLVEPNP_IPPE_SQUARE)
        angle = np.linalg.norm(turn)
        axis = np.sin(angle / 2) * turn.ravel() / max(angle, 1e-9)
        message = PoseStamped(header=picture.header)
        position, orientation = message.pose.position, message.pose.orientation
        position.x, position.y, position.z = map(float, place.ravel())
        orientation.x, orientation.y, orientation.z = map(float, axis)
        orientation.w = float(np.cos(angle / 2))
        return message


def main() -> None:
    rclpy.init()
    with suppress(KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
        rclpy.spin(TagPoses())


if __name__ == "__main__":
    main()
