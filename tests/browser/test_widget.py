"""The messages of a widget in a real JupyterLab, and when they are sent."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

CELLS = [
    """
import asyncio
import comfy_nb as nb

@nb.node
async def waits(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds
""",
    "job = waits(60.0).start()",
]
# The page gets its subshells late, and notes on which its widgets' messages go.
LATE = """() => {
    const kernel = window.notebookPanel().sessionContext.session.kernel;
    const ask = kernel.requestCreateSubshell.bind(kernel);
    const late = (reply) => new Promise((resolve) => setTimeout(() => resolve(reply), 1500));
    kernel.requestCreateSubshell = (content) => ({ done: ask(content).done.then(late) });
    window.subshells = [];
    kernel.anyMessage.connect((_, { msg: { header }, direction }) => {
        if (direction === "send" && header.msg_type === "comm_msg") subshells.push(header.subshell_id ?? "none");
    });
}"""


def test_what_a_front_end_says_at_once_is_sent_when_the_page_has_a_subshell_for_it(lab):
    lab.write("late.ipynb", CELLS)
    with lab.open("late.ipynb") as notebook:
        notebook.page.evaluate(LATE)
        notebook.run_all()
        panel = notebook.output(1)
        panel.get_by_text("waits").first.wait_for()
        panel.get_by_text("Stop").click()
        panel.get_by_text("stopped").first.wait_for()
        said = notebook.page.evaluate("window.subshells")
        assert len(said) >= 2 and "none" not in said
