"""The live panel in a real JupyterLab, fed by hand: what a person sees, what stays as it is, what it costs."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
NARROW_PX = 400
CONTRAST_MIN = 4.5
LONG_TASK_MS = 50
MANY = 300

PREPARE = f"""
import sys, threading, time
sys.path.insert(0, {str(ROOT)!r})
from IPython.display import display
from comfy_nb.engine.events import NodeLog, NodeText, NodeWaiting
from comfy_nb.errors import NodeError
from comfy_nb.ui.run.model import RunModel
from comfy_nb.ui.run.panel import Panel
from tests.ui.scripted import RUN, done, failed, jpeg, node, preview, progress, started

presses = []

def raised():
    def look_up():
        raise LookupError("no such layer")
    try:
        look_up()
    except LookupError as cause:
        error = NodeError("LookupError: no such layer", node_id="3", class_type="LoadLora", inputs={{"strength": 0.8}})
        error.__cause__ = cause
        return error

class Shown:
    views = None
    def press_stop(self):
        presses.append("pressed")
    def newest_run(self):
        return None
    def live_runs(self):
        return []

class Played:
    def __init__(self):
        self.panel = Panel(Shown(), lambda run: None)
        self.model, self.now = RunModel(), 1.0
        self.play(started(60))
    def play(self, *events):
        self.now += 1 / 15
        self.model.apply(events)
        self.panel.draw(self.model.snapshot(), self.now)
    def log(self, words):
        return NodeLog(RUN, 1.0, "2", "stdout", words)
    def text(self, words):
        return NodeText(RUN, 1.0, "2", words, True)
"""
SHOW = """
shown = Played()
shown.play(
    *(each for number in range(20) for each in (node(f"d{number}"), done(f"d{number}", number / 100))),
    node("1", title="Soften"), progress("1", 5, 20), preview("1", jpeg((96, 64))),
    node("2", title="Describe the picture in many words", class_type="DescribePicture"),
    shown.text("".join(f"word {number} " for number in range(300))),
    shown.log("".join(f"line {number}\\n" for number in range(40))),
    node("4", class_type="AskService"), NodeWaiting(RUN, 1.0, "4", "is called again in 2 s: not here: " + "/tmp" * 30),
    node("3", title="Load it", class_type="LoadLora"), failed("3", raised()),
    node("5", title="Loop"), node("5.1", title="Cut", under="5"), progress("5.1", 1, 2, 2, 8),
)
display(shown.panel.open())
"""
GO_ON = 'shown.play(progress("1", 15, 20), shown.text("and the end"), shown.log("the last line\\n"))'
MANY_PICTURES = """
for number in range(30):
    shown.play(preview("1", jpeg((64 + number, 64))))
    time.sleep(0.02)
"""
QUICK = """
quick = Played()
quick.play(node("1", title="Quick"))
display(quick.panel.open())
"""
MANY_AT_ONCE = f"""
for number in range({MANY}):
    quick.play(progress("1", number + 1, {MANY}))
"""
STEADY = """
picture = [jpeg((256, 256), noise=True) for _ in range(4)]
for number in range(150):
    shown.play(progress("1", number, 150), preview("1", picture[number % 4]), shown.text(f"w{number} "),
               shown.log(f"line {number}\\n"))
    time.sleep(1 / 15)
"""
STOPPABLE = """
stoppable = Played()
display(stoppable.panel.open())
"""
DEAF = """
deaf = Played()
button = deaf.panel.open().children[0]
button.on_msg(button._on_message, remove=True)
display(deaf.panel.open())
"""
ACKNOWLEDGES = "button.acknowledged = True"
KEPT_UP = """
kept_up = Played()
kept_up.play(node("1", title="Paint"), preview("1", jpeg((96, 64))), node("2", title="Tell"), kept_up.text("a bridge"))
display(kept_up.panel.open())
def go_on():
    while not presses:
        kept_up.play(progress("1", 1, 2))
        time.sleep(1 / 15)
threading.Thread(target=go_on, daemon=True).start()
"""
CONTRASTS = """frame => {
    const context = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
    const rgba = colour => {
        context.clearRect(0, 0, 1, 1);
        context.fillStyle = colour;
        context.fillRect(0, 0, 1, 1);
        return [...context.getImageData(0, 0, 1, 1).data];
    };
    const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] / 255 + below[i] * (1 - top[3] / 255));
    const paper = element => element === null ? [255, 255, 255]
        : over(rgba(getComputedStyle(element).backgroundColor), paper(element.parentElement));
    const light = colour => {
        const [r, g, b] = colour.map(each => each / 255)
            .map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = element => {
        const below = paper(element);
        const both = [light(over(rgba(getComputedStyle(element).color), below)), light(below)];
        return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    };
    const holds = element => [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    return [...frame.querySelectorAll('*')].filter(holds)
        .map(element => [element.className + ' ' + element.textContent.slice(0, 20), contrast(element)]);
}"""
FIRST_LINE = """reel => {
    const {x, y} = reel.getBoundingClientRect();
    const {startContainer, startOffset} = document.caretRangeFromPoint(x + 10, y + 10);
    return startContainer.data.slice(startOffset, startOffset + 7);
}"""
ENDS_IN_SIGHT = """reel => {
    const end = reel.firstChild.getBoundingClientRect().bottom;
    return Math.abs(end - reel.getBoundingClientRect().bottom) < 2;
}"""
STICKS_OUT = """frame => {
    const edge = frame.getBoundingClientRect().right + 0.5;
    return frame.scrollWidth > frame.clientWidth ? ['the frame'] : [...frame.querySelectorAll('*')]
        .filter(element => element.getClientRects().length && element.getBoundingClientRect().right > edge)
        .map(element => element.className);
}"""
COUNT_ADDRESSES = """() => {
    window.addressesHeld = 0;
    const {createObjectURL, revokeObjectURL} = URL;
    URL.createObjectURL = blob => { window.addressesHeld += 1; return createObjectURL.call(URL, blob); };
    URL.revokeObjectURL = url => { window.addressesHeld -= 1; revokeObjectURL.call(URL, url); };
}"""
COUNT_DRAWS = """panel => {
    window.draws = window.frames_ = 0;
    new MutationObserver(() => { window.draws += 1; })
        .observe(panel, {subtree: true, childList: true, characterData: true, attributes: true});
    const frame = () => { window.frames_ += 1; requestAnimationFrame(frame); };
    requestAnimationFrame(frame);
}"""
WATCH_LONG_FRAMES = """() => {
    window.ourScripts = [];
    new PerformanceObserver(list => list.getEntries().forEach(frame => frame.scripts.forEach(script => {
        if (script.sourceURL.startsWith('blob:')) window.ourScripts.push(script.duration);
    }))).observe({type: 'long-animation-frame'});
}"""


def show(notebook, source: str):
    """Run a cell and return the frame of the panel below it."""
    frame = notebook.run(source).locator(".comfy-nb-frame")
    frame.locator(".cnb-row").first.wait_for()
    return frame


@pytest.fixture
def frame(notebook):
    """A panel with a bit of everything, a new one for each test."""
    return show(notebook, SHOW)


def row(frame, title: str):
    return frame.locator(".cnb-row").filter(has=frame.page.locator(f".cnb-title[title='{title}']"))


def test_every_row_says_its_state_and_how_far_it_is(notebook, frame):
    assert "20 of 60 nodes" in frame.inner_text() and "1 failed" in frame.inner_text()
    assert frame.locator(".cnb-panel").get_by_role("status").inner_text() == "running"
    states = [row(frame, title).locator(".cnb-glyph").get_attribute("aria-label") for title in ("Soften", "AskService")]
    assert states == ["running", "waiting"]
    assert row(frame, "Soften").get_by_role("progressbar").get_attribute("aria-valuenow") == "25"
    assert "3 of 8" in row(frame, "Cut").inner_text() and "cnb-child" in row(frame, "Cut").get_attribute("class")
    assert "is called again in 2 s" in row(frame, "AskService").inner_text()
    assert "more finished" in frame.inner_text()


def test_a_row_without_a_total_claims_no_progress(frame):
    bar = row(frame, "Describe the picture in many words").get_by_role("progressbar")
    assert bar.get_attribute("aria-valuenow") is None


def test_a_preview_grows_when_clicked_and_shrinks_with_escape(frame):
    picture = row(frame, "Soften").locator(".cnb-picture")
    image = picture.locator("img")
    assert image.bounding_box()["height"] == 64
    image.click()
    assert picture.get_attribute("open") is not None and image.bounding_box()["height"] > 200
    frame.page.keyboard.press("Escape")
    assert image.bounding_box()["height"] == 64


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_buttons_answer_to_the_keyboard_within_jupyterlab(frame, key):
    picture = row(frame, "Soften").locator(".cnb-picture")
    label = picture.locator("summary")
    label.focus()
    frame.page.keyboard.press(key)
    assert picture.get_attribute("open") is not None
    assert label.evaluate("label => label === document.activeElement")


@pytest.fixture(params=["there", "refused"])
def clipboard(notebook, request):
    """An empty clipboard that the page is allowed, or not allowed, to write to."""
    page = notebook.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("navigator.clipboard.writeText('')")
    if request.param == "refused":
        page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('refused')); }")
    yield
    page.evaluate("() => { delete navigator.clipboard.writeText; }")


@pytest.mark.usefixtures("clipboard")
def test_a_failure_can_be_copied_with_its_traceback(frame):
    page = frame.page
    row(frame, "Load it").get_by_role("button", name="Copy").click()
    row(frame, "Load it").get_by_role("button", name="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("LoadLora (node 3): LookupError: no such layer")
    assert "look_up" in copied and "strength = 0.8" in copied


def test_open_parts_scroll_positions_and_selections_survive_updates(notebook, frame):
    describe, load = row(frame, "Describe the picture in many words"), row(frame, "Load it")
    load.locator(".cnb-fold > summary").click()
    log = describe.locator(".cnb-reel").nth(1)
    log.evaluate("reel => { reel.scrollTop = -150; }")
    describe.locator(".cnb-text").evaluate(
        "text => getSelection().setBaseAndExtent(text.firstChild, 900, text.firstChild, 940)"
    )
    first_line = log.evaluate(FIRST_LINE)
    selected = frame.page.evaluate("getSelection().toString()")
    notebook.run(GO_ON)
    frame.get_by_label("log, 41 lines").wait_for()
    assert row(frame, "Soften").get_by_role("progressbar").get_attribute("aria-valuenow") == "75"
    assert load.locator(".cnb-trace").is_visible() and "look_up" in load.locator(".cnb-trace").inner_text()
    assert "the last line" in log.inner_text() and describe.locator(".cnb-text").inner_text().endswith("and the end")
    assert first_line.startswith("line 2") and log.evaluate(FIRST_LINE) == first_line
    assert selected and frame.page.evaluate("getSelection().toString()") == selected


def test_a_reel_that_nobody_scrolled_follows_its_end(notebook, frame):
    text = row(frame, "Describe the picture in many words").locator(".cnb-reel").first
    notebook.run(GO_ON)
    frame.get_by_label("log, 41 lines").wait_for()
    assert text.evaluate("reel => reel.scrollHeight > reel.clientHeight")
    assert text.evaluate(ENDS_IN_SIGHT)


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_all_text_can_be_read_in_every_theme(frame, theme):
    frame.page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    frame.page.wait_for_function(f"document.body.dataset.jpThemeName === '{theme}'")
    row(frame, "Load it").locator(".cnb-fold > summary").click()
    frame.page.mouse.move(0, 0)
    contrasts = frame.evaluate(CONTRASTS)
    assert len(contrasts) > 40
    assert [each for each in contrasts if each[1] < CONTRAST_MIN] == []


def test_a_narrow_panel_has_nothing_that_sticks_out(frame):
    row(frame, "Load it").locator(".cnb-fold > summary").click()
    row(frame, "Soften").locator("img").click()
    frame.evaluate(f"frame => {{ frame.style.width = '{NARROW_PX}px'; }}")
    assert frame.bounding_box()["width"] == NARROW_PX
    assert frame.evaluate(STICKS_OUT) == []
    titles = [row(frame, title).locator(".cnb-title") for title in ("Soften", "Load it", "AskService")]
    assert [title.evaluate("title => title.scrollWidth > title.clientWidth") for title in titles] == [False] * 3


def test_the_addresses_of_old_pictures_are_given_back(notebook, frame):
    frame.page.evaluate(COUNT_ADDRESSES)
    first = row(frame, "Soften").locator("img").get_attribute("src")
    notebook.run(MANY_PICTURES)
    frame.page.wait_for_function(
        "frame => frame.querySelector(`img[alt='Soften']`)?.naturalWidth === 93", arg=frame.element_handle()
    )
    assert row(frame, "Soften").locator("img").get_attribute("src") != first
    assert frame.page.evaluate("window.addressesHeld") == 0


def test_a_burst_of_updates_is_drawn_once_a_frame_and_ends_right(notebook):
    frame = show(notebook, QUICK)
    frame.locator(".cnb-panel").evaluate(COUNT_DRAWS)
    notebook.run(MANY_AT_ONCE)
    frame.get_by_text(f"{MANY}/{MANY}").wait_for()
    draws, frames = frame.page.evaluate("[window.draws, window.frames_]")
    assert 0 < draws <= frames + 1 and draws < MANY


def test_ten_seconds_of_updates_are_no_long_task_of_ours(notebook, frame):
    frame.page.evaluate(WATCH_LONG_FRAMES)
    notebook.run(STEADY)
    frame.get_by_text("149/150").wait_for()
    durations = frame.page.evaluate("window.ourScripts")
    assert [duration for duration in durations if duration > LONG_TASK_MS] == []


def test_stop_is_acknowledged_by_the_kernel(notebook):
    stop = notebook.run(STOPPABLE).locator(".cnb-stop")
    stop.get_by_role("button", name="Stop").click()
    stop.get_by_role("button", name="stopping…").wait_for()
    notebook.page.wait_for_timeout(1_500)
    assert stop.locator(".cnb-stop-note").inner_text() == ""


def test_a_press_that_is_not_acknowledged_is_admitted_until_it_is(notebook):
    stop = notebook.run(DEAF).locator(".cnb-stop")
    stop.get_by_role("button", name="Stop").click()
    stop.get_by_text("To stop now, press ■").wait_for()
    assert stop.get_by_role("button").inner_text() == "no answer"
    notebook.run(ACKNOWLEDGES)
    stop.get_by_text("To stop now").wait_for(state="detached")
    assert stop.get_by_role("button", name="stopping…").is_disabled()


def test_a_page_that_is_loaded_again_in_mid_run_shows_all_again(lab):
    cells = [cell.strip() for cell in (PREPARE, KEPT_UP)]
    with lab.open(lab.write("again.ipynb", cells)) as notebook:
        notebook.run_all()
        notebook.output(1).locator("img[src^=blob]").wait_for()
        notebook.save()
        notebook.page.reload()
        notebook.page.wait_for_function("window.notebookReady()")
        frame = notebook.output(1).locator(".comfy-nb-frame")
        frame.locator("img[src^=blob]").wait_for()
        frame.get_by_text("a bridge").wait_for()
        assert row(frame, "Paint").get_by_role("progressbar").get_attribute("aria-valuenow") == "50"
        frame.get_by_role("button", name="Stop").click()
        frame.get_by_role("button", name="stopping…").wait_for()
