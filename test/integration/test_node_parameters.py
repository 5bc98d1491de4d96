"""The node's parameters: what config/rehdr.yaml and the node say of them; which values they take when."""

import re
from dataclasses import fields

import numpy as np
import pytest
import yaml
from live import IMAGE, Manager, pixels, rclpy
from rcl_interfaces.msg import ParameterDescriptor, ParameterType
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParametersAtomically
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import Image

from rehdr_ros.node.parameters import Parameters, declare, read
from rehdr_ros.node.transport import shared_file

FIELDS = {field.name: field for field in fields(Parameters)}
MAY_BE_COMMENTED_OUT = {"expected_size", "event_roi", "homography"}
TYPES = {
    str: ParameterType.PARAMETER_STRING,
    float: ParameterType.PARAMETER_DOUBLE,
    int: ParameterType.PARAMETER_INTEGER,
    bool: ParameterType.PARAMETER_BOOL,
}


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


@pytest.fixture(scope="module")
def comments() -> dict[str, str]:
    """What the file says above each parameter, or above the group that it is in."""
    found, said, was_comment = {}, "", False
    for line in shared_file("config/rehdr.yaml").read_text().splitlines():
        parameter = re.match(r"\s+(?:(?=\w)|# (?=\w+: \[))(\w+): ", line)
        if parameter:
            found[parameter[1]], was_comment = said, False
        elif line.lstrip().startswith("#"):
            said, was_comment = (said if was_comment else "") + line.lstrip(" #") + " ", True
    return found


def test_file_explains_every_parameter(comments):
    assert set(comments) == set(FIELDS)
    assert all(comments.values())


def test_file_marks_those_that_change_only_before_configure(comments):
    assert {name for name, text in comments.items() if "(C)" in text} | {"autostart"} == {
        name for name, field in FIELDS.items() if field.metadata["fixed"]
    }
    assert "Fixed at start" in comments["autostart"]


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if field.metadata["choices"]])
def test_file_names_every_choice(comments, name):
    for choice in FIELDS[name].metadata["choices"]:
        assert re.search(rf"\b{choice}\b", comments[name]), choice


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


@pytest.fixture(scope="module")
def descriptors(client, node) -> dict[str, ParameterDescriptor]:
    """What the running node says of its parameters."""
    request = DescribeParameters.Request(names=list(FIELDS))
    described = client.call(DescribeParameters, "/rehdr_node/describe_parameters", request).descriptors
    assert [each.name for each in described] == list(FIELDS)
    return {each.name: each for each in described}


@pytest.mark.parametrize("name", FIELDS)
def test_node_describes_the_parameter(descriptors, name):
    default, about, told = FIELDS[name].default, FIELDS[name].metadata, descriptors[name]
    assert len(told.description) > 10
    assert ("unconfigured" in told.additional_constraints) == about["fixed"]
    assert told.read_only == (name == "autostart")
    if not isinstance(default, tuple):  # an empty list has no type
        assert told.type == TYPES[type(default)]
    is_number = type(default) in (int, float)
    assert [(r.from_value, r.to_value) for r in [*told.integer_range, *told.floating_point_range]] == (
        [(about["least"], about["most"])] if is_number else []
    )


@pytest.fixture(scope="module")
def manager(client, node):
    return Manager(client)


@pytest.fixture
def set_back(manager):
    """A function that sets a parameter for one test."""
    changed = []

    def set_for_now(name: str, value) -> None:
        result = manager.set(name, value)
        assert result.successful, result.reason
        changed.append(name)

    yield set_for_now
    for name in reversed(changed):
        assert manager.set(name, FIELDS[name].default).successful


@pytest.fixture(scope="module")
def tonemapped(client, stream):
    """A function that sends a frame and returns what came back tonemapped."""
    images = client.collect(Image, "/tonemapped/image_raw")

    def tonemapped() -> Image:
        header = stream.send().header
        assert client.wait_until(lambda: images and images[-1].header == header)
        return images[-1]

    return tonemapped


@pytest.mark.parametrize("encoding", ["mono8", "bgr8"])
def test_next_tonemapped_image_has_the_new_encoding(tonemapped, set_back, encoding):
    assert tonemapped().encoding == "rgb8"
    set_back("tonemapped_encoding", encoding)
    assert tonemapped().encoding == encoding


def test_next_hdr_image_has_the_new_encoding(stream, set_back):
    assert stream.radiance(stream.send()).shape == (48, 64, 3)
    set_back("hdr_encoding", "32FC1")
    assert stream.radiance(stream.send()).shape == (48, 64)


def test_next_frame_has_the_new_tone_curve(tonemapped, set_back):
    def level(operator: str) -> float:
        set_back("tonemap", operator)
        return float(np.median(tonemapped().data))

    assert level("gamma") == pytest.approx(128, abs=1)
    assert len({level(operator) for operator in ("gamma", "reinhard", "mulaw")}) == 3


def test_event_image_comes_while_it_is_asked_for(client, stream, set_back):
    images = client.collect(Image, "/event_image/image_raw")
    stream.send()
    client.spin(0.3)
    assert not images
    set_back("event_image", True)
    at = stream.camera.now
    stream.camera.events(*(at + 5_000_000 * k for k in range(2, 12)))
    header = stream.send().header
    assert client.wait_until(lambda: images and images[-1].header == header)
    assert images[-1].encoding == "rgb8"
    picture = pixels(images[-1])
    assert picture.shape == (48, 64, 3)
    np.testing.assert_array_equal(picture[20, 20], (255, 0, 0))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 2  # and the frame's grey


def test_next_interruption_is_judged_by_the_new_gap(stream, set_back):
    stream.send()
    assert stream.send().reset_reason == ""
    set_back("max_frame_gap", 0.05)
    assert stream.send().reset_reason.startswith("gap")


def test_new_response_starts_anew_and_says_so(stream, set_back):
    stream.send()
    set_back("response", "1.0")
    info = stream.send()
    assert info.reset_reason == "response"
    np.testing.assert_allclose(stream.radiance(info), 128 / 255, rtol=1e-3)
    assert stream.send().reset_reason == ""


def test_settings_that_need_each_other_come_in_their_order_or_at_once(client, manager, stream, set_back):
    shift = [1.0, 0.0, 4.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    refused = manager.set("registration", "homography")
    assert not refused.successful and "homography" in refused.reason

    def set_at_once(**values) -> bool:
        request = SetParametersAtomically.Request(
            parameters=[
                rclpy.Parameter(name, value=value).to_parameter_msg() for name, value in values.items()
            ]
        )
        service = SetParametersAtomically, "/rehdr_node/set_parameters_atomically"
        return client.call(*service, request).result.successful

    assert set_at_once(registration="homography", homography=shift)
    assert not set_at_once(registration="scale", homography=[1.0])
    assert value(client, "registration").string_value == "homography"
    stream.send()
    assert set_at_once(registration="scale", homography=[])

    set_back("homography", shift)
    set_back("registration", "homography")
    stream.send()


REFUSED = {
    "text for a number": ("event_timeout", "soon", "a number"),
    "below its range": ("event_timeout", -1.0, "0"),
    "above its range": ("loss_warn", 2.0, "1"),
    "warning above the error": ("loss_warn", 0.5, "loss_error"),
    "not a number": ("latency_budget", float("nan"), "3600"),
    "whole number above its range": ("white_level", 70000, "65535"),
    "no choice": ("tonemap", "magic", "reinhard, mulaw, gamma"),
    "number for a choice": ("tonemapped_encoding", 8, "a text"),
    "number for a truth": ("lazy", 1, "true or false"),
    "too few numbers": ("homography", [1.0, 2.0], "9"),
    "file that is not there": ("response", "/nowhere/response.npy", "/nowhere/response.npy"),
    "power out of reach": ("response", "-1", "between"),
    "deletion": ("event_roi", None, "deleted"),
}


@pytest.mark.parametrize(("name", "wrong", "says"), REFUSED.values(), ids=REFUSED)
def test_wrong_value_is_refused_by_its_name_and_nothing_changes(client, manager, stream, name, wrong, says):
    stream.send()
    before = value(client, name)
    result = manager.set(name, wrong)
    assert not result.successful
    assert name in result.reason and says in result.reason
    assert value(client, name) == before
    assert stream.send().reset_reason == ""


def value(client, name: str):
    """A parameter as the node has it."""
    request = GetParameters.Request(names=[name])
    return client.call(GetParameters, "/rehdr_node/get_parameters", request).values[0]


@pytest.mark.parametrize(
    ("name", "other"),
    [("weights", "rehdr_s"), ("expected_size", [64, 48]), ("input_reliability", "reliable")],
)
def test_parameter_that_is_built_in_is_refused_while_the_node_is_configured(client, manager, name, other):
    before = value(client, name)
    result = manager.set(name, other)
    assert not result.successful
    assert name in result.reason and "clean it up first" in result.reason
    assert value(client, name) == before


def test_autostart_is_refused_for_ever(manager):
    result = manager.set("autostart", False)
    assert not result.successful
    assert "autostart" in result.reason and "read-only" in result.reason


def test_parameters_that_are_built_in_change_after_cleanup(client, manager, stream):
    assert manager.change("deactivate") and manager.change("cleanup")
    assert manager.set("input_reliability", "reliable").successful
    assert manager.set("expected_size", [64, 48]).successful
    assert manager.change("configure") and manager.change("activate")
    assert client.wait_until(lambda: client.get_subscriptions_info_by_topic(IMAGE))
    (subscription,) = client.get_subscriptions_info_by_topic(IMAGE)
    assert subscription.qos_profile.reliability == ReliabilityPolicy.RELIABLE


@pytest.mark.parametrize("name", ["event_timeout", "tonemap", "homography"])
def test_wrong_value_is_refused_before_configure_too(client, manager, name):
    if manager.state() == "active":
        assert manager.change("deactivate") and manager.change("cleanup")
    wrong = {"event_timeout": "soon", "tonemap": "magic", "homography": [1.0, 2.0]}[name]
    before = value(client, name)
    result = manager.set(name, wrong)
    assert not result.successful
    assert name in result.reason
    assert value(client, name) == before
