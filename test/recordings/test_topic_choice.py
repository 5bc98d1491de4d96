import pytest

from rehdr_ros.recordings.topic_choice import Candidate, choose_events, choose_frames, shows

EVENTS = Candidate("/event_camera/events", 0, 9, "evt3", (640, 480))


def camera(name, encoding="rgb8", size=(1280, 960), count=9, **known):
    return Candidate(name, int(name.endswith("/compressed")), count, encoding, size, **known)


def chosen(*candidates, events=EVENTS):
    """The same whatever the order in which a bag has its topics."""
    choice = choose_frames(candidates, events, "--image")
    assert choose_frames(candidates[::-1], events, "--image") == choice
    return choice


@pytest.mark.parametrize(
    "worse",
    [
        camera("/a/depth_registered", "32FC1"),
        camera("/a/depth/image_rect_raw", "16UC1"),
        camera("/a/image_raw", "16UC1", camera_info=True, size=(640, 480)),
        camera("/a/image_raw", "32FC3", camera_info=True, size=(640, 480)),
        camera("/a/image_raw", "32SC1", camera_info=True, size=(640, 480)),
        camera("/a/image_raw/compressed", "16UC1; png compressed ", camera_info=True),
        camera("/a/classes", "mono8", problem="unknown image encoding"),
        camera("/a/renderer/image_raw", "bgr8", camera_info=True, size=(640, 480)),
        camera("/a/dvs_rendering", "mono8", camera_info=True, size=(640, 480)),
        camera("/event_camera/event_image", "mono8", size=(640, 480)),
        camera("/event_camera/event_frame/compressed", "bgr8; jpeg compressed bgr8", size=(640, 480)),
        camera("/a/time_surface", "mono8"),
        camera("/a/disparity", "mono8"),
        camera("/a/segmentation/mask", "8UC1"),
        camera("/a/semanticLabels", "mono8"),
        camera("/a/infra1/image_rect_raw", "mono8", camera_info=True),
        camera("/a/thermal/image_raw", "mono16", camera_info=True, size=(640, 480)),
        camera("/boson/image_raw", "mono16", camera_info=True, size=(640, 480)),
        camera("/a/image_annotated", "bgr8"),
        camera("/hdr/image_raw", "32FC3", size=(640, 480)),
        camera("/tonemapped/image_raw", "rgb8", size=(640, 480)),
        camera("/a/image_raw", "rgb8", count=0),
    ],
    ids=lambda each: f"{each.name} {each.encoding}",
)
def test_the_camera_comes_before_what_is_none(worse):
    choice = chosen(worse, camera("/usb_cam/image"))
    assert (choice.first, choice.tie) == ("/usb_cam/image", "")


@pytest.mark.parametrize(
    "better, worse",
    [
        (camera("/z/image", camera_info=True), camera("/a/image", size=(640, 480))),
        (camera("/z/image", size=(640, 480)), camera("/a/image")),
        (camera("/z/image", "mono8"), camera("/a/image", size=(1280, 720))),
        (camera("/event_camera/image", "mono8"), camera("/a/image")),
        (camera("/z/image_raw"), camera("/z/image_rect")),
        (camera("/z/image_raw"), camera("/z/image_color")),
        (camera("/z/image_raw"), camera("/z/image_raw/compressed", "jpeg")),
    ],
    ids=lambda each: each.name,
)
def test_each_criterion_decides_where_those_before_it_do_not(better, worse):
    choice = chosen(worse, better)
    assert (choice.first, choice.tie) == (better.name, "")


def test_a_tie_is_told_with_the_option_that_decides():
    left, right = camera("/left/image_raw"), camera("/right/image_raw")
    packed = camera("/right/image_raw/compressed", "jpeg")
    choice = chosen(packed, right, left, camera("/depth/image", "16UC1"))
    assert choice.first == "/left/image_raw"
    assert "/right/image_raw would do" in choice.tie and "--image chooses" in choice.tie
    assert "compressed" not in choice.tie and "depth" not in choice.tie


def test_frames_go_with_the_events_that_were_chosen():
    frames = [camera(f"/davis_{side}/image_raw", "mono8", (640, 480)) for side in ("left", "right")]
    events = Candidate("/davis_right/events", 0, 9, "libcaer", (640, 480))
    assert chosen(*frames, events=events).first == "/davis_right/image_raw"


def test_events_of_a_camera_that_has_frames_come_first():
    events = [Candidate(f"/{name}/events", 0, 9, "evt3", (640, 480)) for name in ("a", "b")]
    choice = choose_events(events, ["/b/image_raw/compressed", "/c/image_raw"], "--events")
    assert (choice.first, choice.tie) == ("/b/events", "")
    assert "--events chooses" in choose_events(events, ["/c/image_raw"], "--events").tie


@pytest.mark.parametrize(
    "worse",
    [
        Candidate("/a/triggers", 0, 9, "trigger", (640, 480)),
        Candidate("/a/events", 1, 9, "dvs_msgs", (640, 480)),
        Candidate("/a/events", 0, 0),
        Candidate("/a/events", 0, 9, problem="unknown encoding"),
    ],
    ids=["triggers", "EventArrays", "empty", "unreadable"],
)
def test_events_before_what_brings_less(worse):
    choice = choose_events([worse, Candidate("/z/events", 0, 9, "evt3", (640, 480))], [], "--events")
    assert (choice.first, choice.tie) == ("/z/events", "")


@pytest.mark.parametrize(
    "name", ["/event_camera/image_raw", "/dvs/image_raw", "/depthai/rgb/image", "/mirror/image_raw", "/image"]
)
def test_names_that_say_nothing(name):
    assert not shows(name)
