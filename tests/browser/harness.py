"""A private JupyterLab and a headless Chromium that opens notebooks in it.

All of it is synchronous (playwright's sync API keeps a loop in the thread), so tests that use it are plain
functions. Only loopback can be reached from the page: whatever shows, shows offline.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
from playwright.sync_api import Browser, Error, Locator, Page, TimeoutError, sync_playwright

from tests.browser.chromium import find_chromium
from tests.kernel.harness import make_kernel_env

START_TIMEOUT_S = 90.0
VIEWPORT = {"width": 1200, "height": 900}
TALLEST_PX = 15_000
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
]
LAB_SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "docmanager-extension/plugin": {"autosave": False},
    "notebook-extension/tracker": {"windowingMode": "none", "maxNumberOutputs": 10_000},
}
WIDGET_FAILURE = re.compile(
    r"Error (?:displaying|rendering) widget.*|Loading widget.*|Failed to (?:load model class|create view).*"
)
WIDGET_CONSOLE = re.compile(
    r"\[anywidget\]|blob:http|Failed to (load|create) (model|view)|model not found|No version of module"
)
PANEL_JS = """
window.notebookPanel = () => [...window.jupyterapp.shell.widgets('main')]
    .find(widget => widget.content?.widgets && widget.sessionContext);
window.notebookReady = () => {
    const panel = window.jupyterapp?.shell && window.notebookPanel();
    return !!(panel?.context.isReady && panel.sessionContext.isReady && panel.sessionContext.session?.kernel);
};
window.commandsLeft = 0;
window.startCommand = (command, cell) => {
    const panel = window.notebookPanel();
    window.jupyterapp.shell.activateById(panel.id);
    if (cell !== null) { panel.content.deselectAll(); panel.content.activeCellIndex = cell; }
    window.commandsLeft += 1;
    window.jupyterapp.commands.execute(command).finally(() => { window.commandsLeft -= 1; });
};
window.addCell = source => {
    const cells = window.notebookPanel().content.model.sharedModel;
    cells.addCell({cell_type: 'code', source});
    return cells.cells.length - 1;
};
window.removeCells = first => {
    const cells = window.notebookPanel().content.model.sharedModel;
    if (cells.cells.length > first) cells.deleteCellRange(first, cells.cells.length);
};
window.notebookIdle = () => window.commandsLeft === 0
    && window.notebookPanel().sessionContext.session?.kernel?.status === 'idle'
    && window.notebookPanel().content.widgets.every(
        cell => !cell.node.querySelector('.jp-InputPrompt')?.textContent.includes('*'));
window.notebookBottom = () => {
    const notebook = window.notebookPanel().content;
    const outer = notebook.node.querySelector('.jp-WindowedPanel-outer') || notebook.node;
    outer.scrollTop = 0;
    const last = notebook.widgets.at(-1).node.getBoundingClientRect();
    return Math.ceil(last.bottom + window.innerHeight - outer.getBoundingClientRect().bottom + 40);
};
"""


class LabServer:
    """A private JupyterLab on a loopback port that serves the folder `root`; use it in a `with` statement."""

    def __init__(self, root: Path):
        self.root = root
        self.token = secrets.token_hex(16)

    def __enter__(self) -> LabServer:
        self._private = Path(tempfile.mkdtemp(prefix="comfy_nb_lab_"))
        for name, value in LAB_SETTINGS.items():
            file = self._private / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(value))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._log = (self._private / "server.log").open("wb")
        self._process = subprocess.Popen(
            [*self._command(port)],
            cwd=self.root,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        try:
            self._wait_until_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
        shutil.rmtree(self._private, ignore_errors=True)

    def _command(self, port: int) -> Iterator[str]:
        yield from (sys.executable, "-m", "jupyterlab", "--no-browser", "--expose-app-in-browser")
        yield "--LabApp.extension_manager=readonly"
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            yield "--allow-root"
        yield from ("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0")
        yield from (f"--IdentityProvider.token={self.token}", f"--ServerApp.root_dir={self.root}")
        yield from (f"--LabApp.user_settings_dir={self._private}/settings", "--LabApp.news_url=None")
        yield f"--LabApp.workspaces_dir={self._private}/workspaces"

    def _environment(self) -> dict[str, str]:
        private = {
            "JUPYTER_CONFIG_DIR": f"{self._private}/config",
            "JUPYTER_DATA_DIR": f"{self._private}/data",
            "JUPYTER_RUNTIME_DIR": f"{self._private}/runtime",
            "IPYTHONDIR": f"{self._private}/ipython",
            "JUPYTER_PLATFORM_DIRS": "1",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "JPY_"))}
        return {**kept, **private}

    def _wait_until_up(self) -> None:
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(f"{self.url}/api/status", headers=headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                opener.open(request, timeout=5).close()
                return
            except (urllib.error.URLError, OSError) as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"JupyterLab did not start ({error}):\n{self.log()}") from error
                time.sleep(0.1)

    def add_kernel(self, version: str) -> str:
        """Offer another version of ipykernel beside the installed one; returns its name."""
        name = f"python-{version.replace('.', '-')}"
        folder = self._private / "data" / "kernels" / name
        folder.mkdir(parents=True)
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = {"argv": argv, "display_name": f"ipykernel {version}", "language": "python"}
        spec["env"] = {"PYTHONPATH": os.pathsep.join([str(make_kernel_env(version)), os.getcwd()])}
        (folder / "kernel.json").write_text(json.dumps(spec))
        return name

    def log(self) -> str:
        """The end of the server's log."""
        return (self._private / "server.log").read_text(errors="replace")[-4000:]


class NotebookPage:
    """A notebook open in JupyterLab. `page` is playwright's page; cells count from 0, text cells included."""

    def __init__(self, page: Page, file: Path):
        self.page = page
        self.file = file
        self.console_errors: list[str] = []
        page.on("console", lambda seen: self._note(seen.text) if seen.type == "error" else None)
        page.on("pageerror", lambda error: self._note(str(error)))

    def _note(self, text: str) -> None:
        self.console_errors.append(text)

    def open(self, url: str, timeout: float = START_TIMEOUT_S) -> None:
        """Load the notebook and wait for its kernel."""
        self.page.add_init_script(PANEL_JS)
        self.page.goto(url, wait_until="domcontentloaded", timeout=timeout * 1000)
        self.page.wait_for_function("window.notebookReady()", timeout=timeout * 1000)
        self.wait_idle(timeout)

    def run(self, source: str, timeout: float = 60.0) -> Locator:
        """Run a new cell at the end, wait until the kernel is idle, and return the output of the cell."""
        output = self.start_cell(source)
        self.wait_idle(timeout)
        return output

    def start_cell(self, source: str) -> Locator:
        """Start a new cell at the end and return its output, without waiting for its end."""
        cell = self.page.evaluate("source => window.addCell(source)", source.strip())
        self.start("notebook:run-cell", cell)
        return self.output(cell)

    def remove_cells(self, first: int) -> None:
        """Remove the cells from number `first` on."""
        self.page.evaluate("first => window.removeCells(first)", first)

    def save(self) -> list[Any]:
        """Save the notebook and return its cells as they are in the file."""
        self.start("docmanager:save")
        self.wait_idle()
        return nbformat.read(self.file, as_version=4).cells

    def run_all(self, timeout: float = 120.0) -> None:
        """Run all cells and wait until the kernel is idle."""
        self.start("notebook:run-all-cells")
        self.wait_idle(timeout)

    def run_cell(self, cell: int, timeout: float = 60.0) -> None:
        """Run one cell and wait until the kernel is idle."""
        self.start("notebook:run-cell", cell)
        self.wait_idle(timeout)

    def start(self, command: str, cell: int | None = None) -> None:
        """Start a JupyterLab command, on a cell if one is given, without waiting for its end."""
        self.page.evaluate("([command, cell]) => window.startCommand(command, cell)", [command, cell])

    def wait_idle(self, timeout: float = 60.0) -> None:
        """Wait until no command is under way, no cell shows [*] and the kernel is idle."""
        self.page.wait_for_function("window.notebookIdle()", timeout=timeout * 1000)

    def cell(self, cell: int) -> Locator:
        """A whole cell."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(cell)

    def output(self, cell: int) -> Locator:
        """The output area of a cell."""
        return self.cell(cell).locator(".jp-Cell-outputArea")

    def cell_errors(self) -> dict[int, str]:
        """The cells that ended in an error, each with "name: message"."""
        found = self.page.evaluate(
            "window.notebookPanel().content.widgets.flatMap((cell, index) =>"
            " cell.model.type !== 'code' ? [] : cell.model.outputs.toJSON()"
            " .filter(output => output.output_type === 'error')"
            " .map(output => [index, `${output.ename}: ${output.evalue}`]))"
        )
        return dict(found)

    def widget_failures(self, grace: float = 5.0) -> list[str]:
        """Describe the widgets that did not render; those still loading get `grace` seconds."""
        loaded = "!document.body.innerText.includes('Loading widget')"
        with suppress(TimeoutError):  # whatever is still loading is reported below
            self.page.wait_for_function(loaded, timeout=grace * 1000)
        shown = self.page.locator(".jp-Notebook .jp-Cell-outputArea").all_inner_texts()
        failed = [match for text in shown for match in WIDGET_FAILURE.findall(text)]
        broken = self.page.locator(".jp-Notebook :is(.jupyter-error-widget, .jupyter-widgets-error-widget)")
        # an anywidget whose module fails leaves an empty element without a class of its own
        empty = self.page.locator(".jp-OutputArea-output div[class='lm-Widget']:empty")
        failed += [f"error widget: {text}" for text in broken.all_inner_texts()]
        failed += ["an empty widget element"] * empty.count()
        return failed + [text for text in self.console_errors if WIDGET_CONSOLE.search(text)]

    def check(self) -> None:
        """Raise an AssertionError that lists every failed cell and every widget that did not render."""
        problems = [f"cell {cell}: {error}" for cell, error in self.cell_errors().items()]
        problems += self.widget_failures()
        if problems:
            raise AssertionError("\n".join(problems))

    def screenshot(self, path: Path, cell: int | None = None) -> Path:
        """A PNG of the whole notebook, or of one cell's output, however tall."""
        path.parent.mkdir(parents=True, exist_ok=True)
        height = min(max(self.page.evaluate("window.notebookBottom()"), VIEWPORT["height"]), TALLEST_PX)
        self.page.set_viewport_size({"width": VIEWPORT["width"], "height": height})
        target = self.page if cell is None else self.output(cell)
        target.screenshot(path=str(path))
        self.page.set_viewport_size(VIEWPORT)
        return path


class Lab:
    """A server and a browser together."""

    def __init__(self, server: LabServer, browser: Browser):
        self.server = server
        self._browser = browser

    def write(self, name: str, cells: Sequence[str], kernel: str = "python3") -> str:
        """Write a notebook of code cells into the served folder; returns its name."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {"name": kernel, "display_name": kernel}
        nbformat.write(notebook, self.server.root / name)
        return name

    @contextmanager
    def open(self, name: str, check: bool = True) -> Iterator[NotebookPage]:
        """Open a notebook by its path in the served folder.

        At the end its kernel is shut down, after a `check` that no cell failed and every widget rendered.
        """
        context = self._browser.new_context(viewport=VIEWPORT)
        notebook = NotebookPage(context.new_page(), self.server.root / name)
        try:
            notebook.open(f"{self.server.url}/doc/tree/{quote(name)}?token={self.server.token}&reset")
            yield notebook
            if check:
                notebook.check()
            notebook.page.evaluate("window.notebookPanel().sessionContext.shutdown()")
        except Error as error:
            raise RuntimeError(f"{error}\nconsole: {notebook.console_errors}\n{self.server.log()}") from error
        finally:
            context.close()

    @contextmanager
    def new_page(self) -> Iterator[Page]:
        """A page without JupyterLab and without access to a network."""
        context = self._browser.new_context(viewport=VIEWPORT)
        try:
            yield context.new_page()
        finally:
            context.close()


@contextmanager
def open_lab(root: Path) -> Iterator[Lab]:
    """A JupyterLab that serves `root`, and a headless Chromium."""
    with LabServer(root) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_ARGS)
        try:
            yield Lab(server, browser)
        finally:
            browser.close()
