"""Views that stay alive, and what is left of them without a kernel."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

DEMO = '''
from anywidget import AnyWidget
from ipywidgets import Button, VBox, Widget
from traitlets import Int
from comfy_nb.ui.jupyter.cell_output import close_all
from comfy_nb.ui.jupyter.live_html import LiveHTML

class Counter(AnyWidget):
    _esm = """export default { render({model, el}) {
        const button = document.createElement("button");
        const draw = () => { button.textContent = `live ${model.get("number")}`; };
        button.className = "demo";
        button.onclick = () => { model.set("number", model.get("number") + 1); model.save_changes(); };
        model.on("change:number", draw);
        draw();
        el.append(button);
    } }"""
    number = Int(3).tag(sync=True)
'''
SHOW = """
counter = Counter()
box = VBox([counter])
live = LiveHTML(box, {"text/html": "<b>still three</b>", "text/plain": "three"}, lambda: close_all(box))
"""
NUMBER = "counter.number"
KEEP = "live.set_static({'text/html': '<b>still more</b>', 'text/plain': 'more'})"
LEFT = "[each for each in Widget.widgets.values() if isinstance(each, Counter)].__len__()"
PATIENCE_MS = 20_000


@pytest.fixture
def notebook(lab):
    with lab.open(lab.write("living.ipynb", [DEMO, SHOW, NUMBER, KEEP, LEFT])) as opened:
        opened.run_cell(0)
        opened.run_cell(1)
        until(opened, "live 3")
        yield opened


def until(notebook, words: str) -> None:
    notebook.output(1).get_by_text(words).wait_for(timeout=PATIENCE_MS)


def test_it_is_alive_in_the_place_of_its_html(notebook):
    notebook.output(1).locator("button.demo").click()
    until(notebook, "live 4")
    notebook.run_cell(2)
    assert "4" in notebook.output(2).inner_text()
    assert "still" not in notebook.output(1).inner_text()


def test_after_a_reload_of_the_page_it_is_alive_again(notebook):
    notebook.output(1).locator("button.demo").click()
    until(notebook, "live 4")
    notebook.save()
    notebook.page.reload()
    notebook.page.wait_for_function("window.notebookReady()")
    until(notebook, "live 4")


def test_what_is_kept_can_change_while_it_lives(notebook):
    notebook.output(1).locator("button.demo").click()
    until(notebook, "live 4")
    notebook.run_cell(3)
    until(notebook, "live 4")
    assert notebook.output(1).locator("button.demo").count() == 1
    kept = notebook.save()[1].outputs
    assert ["still more" in each.data["text/html"] for each in kept] == [True]


def test_a_second_view_of_the_output_is_alive_too(notebook):
    notebook.start("notebook:create-output-view", 1)
    notebook.page.wait_for_function("document.querySelectorAll('button.demo').length === 2", timeout=PATIENCE_MS)


def test_when_its_cell_runs_again_it_is_let_go(notebook):
    notebook.run_cell(1)
    until(notebook, "live 3")
    notebook.run_cell(4)
    assert notebook.output(4).inner_text().split()[-1] == "1"


@pytest.mark.parametrize("is_trusted", [True, False])
def test_opened_again_without_its_kernel_it_is_its_html(lab, is_trusted):
    name = lab.write("left.ipynb", [DEMO, SHOW])
    with lab.open(name) as notebook:
        notebook.run_cell(0)
        notebook.run_cell(1)
        until(notebook, "live 3")
        notebook.save()
    if not is_trusted:
        path = lab.server.root / name
        path.write_text(path.read_text().replace("live = LiveHTML", "live =  LiveHTML"))
    with lab.open(name) as again:
        assert "still three" in again.output(1).inner_text()
        assert again.widget_failures(grace=0.5) == []
