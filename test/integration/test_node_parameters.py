"""The node's parameters: what config/rehdr.yaml says of them, and which values they take."""

from dataclasses import fields

import pytest
import yaml
from live import rclpy

from rehdr_ros.node.parameters import Parameters, declare, read
from rehdr_ros.node.transport import shared_file

MAY_BE_COMMENTED_OUT = {"expected_size", "event_roi", "homography"}


@pytest.fixture
def parameters(client):
    """A function that reads the parameters of a node that was given some."""
    nodes = []

    def parameters(**given) -> Parameters:
        overrides = [rclpy.Parameter(name, value=value) for name, value in given.items()]
        nodes.append(rclpy.create_node("parameters", parameter_overrides=overrides))
        declare(nodes[-1])
        return read(nodes[-1])

    yield parameters
    for node in nodes:
        node.destroy_node()


def test_file_lists_every_parameter_with_its_default():
    listed = yaml.safe_load(shared_file("config/rehdr.yaml").read_text())["/**"]["ros__parameters"]
    defaults = {p.name: p.default for p in fields(Parameters)}
    assert set(defaults) - MAY_BE_COMMENTED_OUT <= set(listed) <= set(defaults)
    for name, value in listed.items():
        assert (value, type(value)) == (defaults[name], type(defaults[name])), name


def test_homography_is_taken_as_numbers(parameters):
    given = parameters(registration="homography", homography=[1, 0, 4, 0, 1, 0, 0, 0, 1])
    assert given.homography == (1.0, 0.0, 4.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def test_nothing_given_means_the_defaults(parameters):
    assert parameters() == Parameters()


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("event_timeout", 1, 1.0),
        ("response", 2.4, "2.4"),
        ("response", "camera.npy", "camera.npy"),
        ("expected_size", [640, 480], (640, 480)),
        ("hdr_encoding", "32FC1", "32FC1"),
        ("hot_pixel_filter", True, True),
        ("hot_pixel_threshold", 7, 7.0),
        ("event_roi", [0, 0, 64, 48], (0, 0, 64, 48)),
    ],
)
def test_value_is_taken_in_its_own_type(parameters, name, given, taken):
    value = getattr(parameters(**{name: given}), name)
    assert (value, type(value)) == (taken, type(taken))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("event_timeout", "soon"),
        ("weights", 5),
        ("autostart", "perhaps"),
        ("events_depth", 0),
        ("image_depth", 1.5),
        ("response", True),
        ("expected_size", [640]),
        ("expected_size", [640, 0]),
        ("expected_size", ["wide", "high"]),
        ("expected_size", 640),
        ("hdr_encoding", "rgb8"),
        ("tonemapped_encoding", "32FC3"),
        ("registration", "magic"),
        ("registration", "homography"),
        ("homography", [1.0, 0.0]),
        ("event_roi", [1, 2, 3]),
        ("event_roi", [0.5, 0.0, 64.0, 48.0]),
        ("hot_pixel_threshold", 0.5),
    ],
)
def test_value_that_does_not_fit_is_refused_by_its_name(parameters, name, value):
    with pytest.raises(ValueError, match=name):
        parameters(**{name: value})
