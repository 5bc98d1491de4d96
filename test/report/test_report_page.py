"""The page in a real browser, from a file, without a network."""

import base64
import json
import shutil

import numpy as np
import pytest
from results_folder import (
    FRAMES,
    HEIGHT,
    PACKETS_LOST_AT,
    WIDTH,
    ldr_of,
    radiance_of,
    read_png,
    row_of,
    tonemapped_of,
    uncertainty_of,
    write_rows,
)

from rehdr_ros.products import NAMED, Plane, Product
from rehdr_ros.recordings import read_exr, write_exr, write_png
from rehdr_ros.report import write_report
from rehdr_ros.report.truth import write_truth

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]
HELD = [1, 3, 6, 8, 11, 13, 16, 19]  # the frames in the page


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A window of Chromium. One launch, over with this module: its event loop would be in others' way."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("there is no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        profile = tmp_path_factory.mktemp("profile")
        context = driver.chromium.launch_persistent_context(
            profile, executable_path=chromium, args=FLAGS, has_touch=True
        )
        yield context
        context.close()


@pytest.fixture(scope="module")
def results(write_results):
    return write_results('a <b> &amp; "c"')


@pytest.fixture(scope="module")
def whole(results):
    return write_report(results)


@pytest.fixture
def show(browser):
    """A function that opens a report. After the test: the page asked for itself alone, and said no error."""
    requests, errors, pages = [], [], []

    def show(path, width=1000, scheme="light"):
        page = browser.new_page()
        pages.append((page, path))
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        page.goto(path.as_uri(), timeout=120_000)  # ms: a busy machine starts slowly
        page.wait_for_selector("body[data-shown]")
        return page

    yield show
    asked = [url for url in requests if not url.startswith("data:")]
    for page, _ in pages:
        page.close()
    assert errors == []
    assert asked == [path.as_uri() for _, path in pages]


def canvas(page, name) -> np.ndarray:
    """Its pixels, uint8 (H, W, 3)."""
    url = page.evaluate(f"document.querySelector('{name}').toDataURL()")
    return read_png(base64.b64decode(url.split(",")[1]))


def screen(radiance: np.ndarray, stops: float) -> np.ndarray:
    """255 * sRGB(radiance * 2^stops)."""
    linear = np.clip(radiance * 2.0**stops, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def choose(page, index: int) -> int:
    """Show a frame by the keyboard; its number."""
    page.focus("#frame")
    page.keyboard.press("Home")
    for _ in range(index):
        page.keyboard.press("ArrowRight")
    page.wait_for_selector(f"body[data-shown='{index}']")
    return HELD[index]


def set_stops(page, stops: float) -> None:
    page.fill("#stops", str(stops))


def border(page) -> float:
    """Share of the columns of both pictures' screenshot that show the LDR, at a height without handle."""
    picture = page.locator("#compare .picture")
    row = read_png(picture.screenshot())[-20].astype(int)
    frame = HELD[int(page.get_attribute("body", "data-shown"))]
    result = tonemapped_of(frame)[0, 0].astype(int)
    return float((np.abs(row - result).max(axis=1) > 8).mean())


def test_border_follows_mouse_touch_and_keys(show, whole):
    page = show(whole)
    box = page.locator("#compare .picture").bounding_box()
    at = lambda share: box["x"] + share * box["width"]  # noqa: E731
    middle = box["y"] + box["height"] / 2
    assert border(page) == pytest.approx(0.5, abs=0.02)
    page.mouse.move(at(0.5), middle)
    page.mouse.down()
    page.mouse.move(at(0.3), middle)
    page.mouse.move(at(0.2), middle)
    assert border(page) == pytest.approx(0.2, abs=0.02)
    page.mouse.up()
    page.mouse.move(at(0.9), middle)
    assert border(page) == pytest.approx(0.2, abs=0.02)
    page.keyboard.press("PageUp")  # the handle has the focus
    page.keyboard.press("ArrowRight")
    assert border(page) == pytest.approx(0.32, abs=0.02)
    assert page.get_attribute("[role=slider]", "aria-valuenow") == "32"
    page.touchscreen.tap(at(0.7), middle)
    assert border(page) == pytest.approx(0.7, abs=0.02)
    page.keyboard.press("End")
    assert border(page) > 0.98
    page.keyboard.press("Home")
    assert border(page) < 0.02


@pytest.mark.parametrize("stops", [-5, 0, 3.3])
def test_exposure_is_that_of_the_formula(show, whole, results, stops):
    page = show(whole)
    frame = choose(page, 5)
    set_stops(page, stops)
    truth = read_exr(results / "hdr" / f"{frame:06d}.exr")
    assert np.abs(canvas(page, "#hdr") - screen(truth, stops)).max() < 1.5
    linear = (ldr_of(radiance_of(frame)) / 255.0) ** 2.2
    assert np.abs(canvas(page, "#ldr") - screen(linear, stops)).max() < 1.5


def test_lower_exposure_shows_what_the_camera_lacks(show, whole):
    page = show(whole)
    set_stops(page, -6)
    clipped = slice(WIDTH * 3 // 4, None)
    assert np.ptp(canvas(page, "#ldr")[0, clipped, 0].astype(int)) == 0
    assert np.ptp(canvas(page, "#hdr")[0, clipped, 0].astype(int)) > 100


def test_each_frame_is_its_own(show, whole):
    page = show(whole)
    for index in (0, 7):
        frame = choose(page, index)
        set_stops(page, 0)
        assert np.abs(canvas(page, "#hdr") - screen(radiance_of(frame), 0)).max() < 1.5
        assert page.text_content("#frame-name") == f"{frame} · {frame / 20:.2f} s"
        assert "1\u2009000 events" in page.text_content("#frame-facts")
        page.focus("[role=slider]")
        page.keyboard.press("Home")
        assert border(page) < 0.02  # all of the picture has this frame's tone-mapped colour


def test_frame_that_arrives_late_does_not_replace_a_later_choice(show, whole):
    page = show(whole)
    set_stops(page, 0)
    page.evaluate(
        """async () => {
            const pixels = await pixelsOf(data.frames[0]);
            let arrive;
            data.frames[0].pixels = new Promise((resolve) => { arrive = resolve; });
            const late = choose(0);
            await choose(7);
            arrive(pixels);
            await late;
        }"""
    )
    assert np.abs(canvas(page, "#hdr") - screen(radiance_of(HELD[7]), 0)).max() < 1.5


def test_pixel_under_the_pointer_is_read(show, whole):
    page = show(whole)
    frame = choose(page, 3)
    canvas = page.locator("#hdr")
    box = canvas.bounding_box()
    canvas.hover(position={"x": box["width"] * 50.5 / WIDTH, "y": box["height"] * 24.5 / HEIGHT})
    red, green, blue = radiance_of(frame)[0, 50]
    stops = np.log2(0.2126 * red + 0.7152 * green + 0.0722 * blue)
    expected = f"x 50, y 24 · radiance R {red:.3g} G {green:.3g} B {blue:.3g} · {stops:.1f} stops above 1.0"
    expected += f" · camera 255 255 255 · uncertainty {uncertainty_of()[0, 50]:.2g} stops · cause lost"
    assert page.locator(".probe-text").all_text_contents() == [expected, expected]
    canvas.focus()
    page.keyboard.press("ArrowLeft")
    assert page.text_content("#probe-text").startswith("x 49, y 24")
    page.locator("#plane-uncertainty").focus()
    page.keyboard.press("Shift+ArrowLeft")
    assert page.text_content("#probe-text").startswith("x 39, y 24")


def test_uncertainty_in_colours_and_what_it_rests_on(show, whole):
    page = show(whole)
    colours = canvas(page, "#plane-uncertainty")[0].astype(int)
    brightness = colours @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(brightness) > -1).all() and np.ptp(brightness) > 180, "the less certain the brighter"
    legend = page.locator(".ramp").screenshot()
    ends = [read_png(legend)[6, column].astype(int) for column in (2, -3)]
    np.testing.assert_allclose(colours[[0, -1]], ends, atol=6)
    causes = canvas(page, "#plane-cause")
    names = ["measured", "carried by events", "filled", "lost"]
    assert page.locator("#planes .legend li").all_text_contents() == [f"{name}25.0 %" for name in names]
    shown = [tuple(causes[HEIGHT // 2, WIDTH * (2 * k + 1) // 8]) for k in range(4)]
    colours_of = "keys => keys.map((key) => getComputedStyle(key).backgroundColor)"
    keys = page.eval_on_selector_all("#planes .legend i", colours_of)
    assert keys == [f"rgb({red}, {green}, {blue})" for red, green, blue in shown] and len(set(shown)) == 4


def test_another_row_of_the_table_is_shown_on_its_own_scale(show, write_results, monkeypatch):
    row = Product("trust", "trust", "32FC1", ".exr", plane=Plane("a test", span=(0.0, 1.0)))
    monkeypatch.setitem(NAMED, row.name, row)
    folder = write_results(frames=1)
    (folder / row.name).mkdir()
    write_exr(folder / row.file(0), np.tile(np.linspace(0, 1, WIDTH, dtype=np.float32), (HEIGHT, 1)))
    page = show(write_report(folder))
    figure = page.locator("#planes figure").last
    assert figure.locator(".ticks span").all_text_contents() == ["0", "1/4", "1/2", "0.75", "1"]
    assert figure.locator("figcaption").text_content().endswith("trust: a test")
    # Its values are as evenly spread, over a logarithm.
    known = canvas(page, "#plane-uncertainty")[0].astype(int)
    np.testing.assert_allclose(canvas(page, "#plane-trust")[0], known, atol=3)
    figure.locator("canvas").hover(position={"x": 1, "y": 1})
    assert page.text_content("#probe-text").endswith(" · trust 0")


def test_events_over_as_much_of_the_frame_as_wanted(show, whole):
    page = show(whole)
    picture = page.locator("#events .picture")

    def quarters():
        shot = read_png(picture.screenshot())
        height, width = shot.shape[:2]
        return [shot[height * i // 4, width * j // 4].tolist() for i, j in ((1, 1), (1, 3), (3, 1), (3, 3))]

    assert quarters() == [[255, 0, 0], [255, 255, 255], [255, 255, 255], [128, 128, 255]]
    page.fill("#blend", "100")
    frame = tonemapped_of(HELD[4])[0, 0].tolist()
    on, none, grey, off = quarters()
    assert (on, none, grey) == ([255, 0, 0], frame, frame)
    np.testing.assert_allclose(off, np.add(frame, [0, 0, 255]) / 2, atol=3)


def test_timeline_tells_what_happened_under_the_pointer(show, whole):
    page = show(whole)
    page.locator("#panels svg").first.scroll_into_view_if_needed()
    box = page.locator("#panels svg").first.bounding_box()
    left, right = 56, 24
    page.mouse.move(box["x"] + left + PACKETS_LOST_AT / 19 * (box["width"] - left - right), box["y"] + 50)
    assert page.text_content("#cursor-text") == "0.60 s · frame 12"
    assert page.text_content("#cursor-marks") == "2 packets lost"
    assert page.locator("#panels .legend b").all_text_contents() == ["20 k", "20", "1.5", "30", "25", "1"]
    page.focus("#cursor")
    page.keyboard.press("Home")
    assert "start </script><script>throw 1</script>" in page.text_content("#cursor-marks")
    assert page.locator("#panels .legend b").all_text_contents() == ["–", "–", "1.5", "4\u2009000", "25", "1"]
    page.locator("#panels svg").first.locator("circle").nth(6).click()
    page.wait_for_selector("body[data-shown='6']")


def test_long_recording_shares_its_points(show, write_results):
    folder = write_results(frames=2)
    rows = [row_of(frame) for frame in range(2500)]
    rows[1801]["network_ms"] = 777.0
    write_rows(folder, rows)
    page = show(write_report(folder))
    assert "2\u2009500 frames, 3 to a point" in page.text_content("#timeline-about")
    assert page.locator("#panels .band").count() == 6
    page.fill("#cursor", "600")
    assert page.text_content("#cursor-text") == "90.00 s · frames 1800–1802"
    assert page.locator("#panels .legend b").all_text_contents()[3] == "279 (30 to 777)"


@pytest.mark.parametrize("width", [360, 700, 1400])
def test_no_sideways_scrolling(show, whole, width):
    page = show(whole, width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.locator("#compare .picture").bounding_box()["width"] > 0.6 * min(width, 1100)


def test_light_and_dark(show, whole):
    colours = "(() => { const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]; })()"

    def brightness(text):
        return np.mean([int(value) for value in text[text.index("(") + 1 : -1].split(",")[:3]])

    for scheme, sign in (("light", 1), ("dark", -1)):
        ground, text = map(brightness, show(whole, scheme=scheme).evaluate(colours))
        assert sign * (ground - text) > 150


def test_every_control_has_a_name(show, whole):
    page = show(whole)
    names = page.evaluate(
        """[...document.querySelectorAll("input, canvas, [role]")].map(
            (e) => e.labels?.[0]?.textContent || e.getAttribute("aria-label") || "")"""
    )
    assert len(names) > 8 and all(names)
    assert page.title() == 'HDR report: a <b> &amp; "c"'


def test_views_that_the_folder_has_nothing_for(show, write_results):
    page = show(write_report(write_results(frames=1, without=("ldr", "events", "uncertainty", "cause"))))
    assert page.locator("#events").is_hidden() and page.locator("#planes").is_hidden()
    assert page.locator("#ldr, #compare .handle").count() == 0
    assert page.locator(".notes li").count() == 2
    assert np.abs(canvas(page, "#hdr") - screen(radiance_of(0), 0)).max() < 1.5


# Outputs between the frames


@pytest.fixture(scope="module")
def between(write_results):
    """Of outputs of which four rest on one frame each."""
    folder = write_results("between")
    rows = [row_of(k) | {"source": "between", "frame_age": 0.05 * (k % 4) + 0.01} for k in range(FRAMES)]
    write_rows(folder, rows)
    return write_report(folder)


def test_outputs_between_the_frames_can_be_scrubbed(show, between):
    page = show(between)
    page.focus("#moment")
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    page.wait_for_selector("#clip[data-shown='6']")
    assert page.inner_text("#moment-text") == "300 ms · output 6"
    assert page.inner_text("#age") == "110 ms after the camera's last frame"
    np.testing.assert_allclose(canvas(page, "#clip .output"), tonemapped_of(6), atol=6)
    np.testing.assert_allclose(canvas(page, "#clip .camera"), ldr_of(radiance_of(4)), atol=40)


def test_outputs_between_the_frames_play(show, between):
    page = show(between)
    page.click("#play")
    page.wait_for_selector("#clip[data-shown='3']")
    page.click("#play")
    assert page.inner_text("#play") == "Play"


def test_frames_are_no_clip(show, whole):
    assert show(whole).is_hidden("#clip")


@pytest.fixture(scope="module")
def demo(write_results):
    """A folder of a simulation, whose truth is known; frame 13 has detail where the camera clips."""
    folder = write_results("demo")
    for frame in range(FRAMES):
        write_truth(folder, frame, 1.25 * radiance_of(frame), np.full((HEIGHT, WIDTH, 3), 77, np.uint8))
    detail = tonemapped_of(13)
    detail[:, ::2] = 200
    write_png(folder / "tonemapped" / "000013.png", detail)
    counts = {"clipped": 3, "exposed": 4, "false": 0}
    quality = {name: {"mu_psnr": 30.0, "clipped_log2_rmse": 1.0} for name in ("ours", "ldr")}
    told = {
        "about": "What is shown; closer is better.",
        "tags": {"camera": counts, "ours": counts, "truth": counts},
    }
    (folder / "report.json").write_text(json.dumps({**told, "quality": quality}))
    return write_report(folder)


@pytest.mark.parametrize("width", [360, 390, 700, 1280, 1920])
def test_nothing_is_cut_off(show, demo, width):
    page = show(demo, width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    cut = page.evaluate(
        """() => [...document.querySelectorAll("body *")].filter((e) => {
            const apart = e.closest("svg, thead, .handle, [hidden], script, style");
            if (apart || !e.getClientRects().length) return false;
            const box = e.getBoundingClientRect(), inner = e.clientWidth;
            return box.left < -1 || box.right > innerWidth + 1 || inner && e.scrollWidth > inner + 1;
        }).map((e) => `${e.tagName} ${e.id} ${e.className}`)"""
    )
    assert cut == []


@pytest.mark.parametrize("width", [390, 1280])
def test_the_first_view_shows_the_camera_beside_what_it_lacks(show, demo, width):
    page = show(demo, width)
    assert page.text_content(".lead") == "What is shown; closer is better."
    assert page.text_content("#frame-name").startswith("13 ")
    boxes = [
        page.locator(f"#triple img.{name}").bounding_box()
        for name in ("ldr", "tonemapped", "truth_tonemapped")
    ]
    assert boxes[1]["y"] < 800, "camera and result are in the first view"
    assert (boxes[2]["y"] == boxes[0]["y"]) == (width > 1000)
    camera, ours, truth = (
        read_png(page.locator(f"#triple img.{name}").screenshot())[20:-20, -40:-20].astype(int)
        for name in ("ldr", "tonemapped", "truth_tonemapped")
    )
    assert camera.min() > 250, "clipped"
    assert np.ptp(ours) > 100 and abs(ours.mean() - camera.mean()) > 50
    assert abs(truth - 77).max() < 4


def test_the_page_opens_at_an_exposure_that_shows_what_clips(show, demo):
    page = show(demo)
    shown = {name: canvas(page, f"#{name}").astype(int) for name in ("ldr", "hdr", "truth")}
    clipped = ldr_of(radiance_of(13)).max(2) >= 250
    assert np.ptp(shown["ldr"][clipped][:, 0]) < 12 < 100 < np.ptp(shown["hdr"][clipped][:, 0])
    stops = float(page.input_value("#stops"))
    assert np.abs(shown["truth"] - screen(1.25 * radiance_of(13), stops)).max() < 1.5
    page.locator("#hdr").hover()
    assert " · truth " in page.text_content("#probe-text")


def test_without_truth_the_views_of_it_are_left_out(show, whole):
    page = show(whole)
    assert page.locator("#triple").is_hidden() and page.locator("#truth, .findings").count() == 0
    assert "white or black" in page.text_content(".lead")
