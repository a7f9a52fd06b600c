"""A real Jupyter kernel under test: send cells, receive what a notebook would show.

All of it is synchronous, for one thread. Times are `time.perf_counter()` seconds of this process.
"""

from __future__ import annotations

import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
from jupyter_client.manager import KernelManager

from tests.measuring import unmeasured

INSTALLED = "installed"
"""The kernel version of the main environment."""

OTHER_KERNELS = {"6.31": ("ipykernel==6.31.0", "nest-asyncio==1.6.0")}
"""Other kernel versions to test, each with the packages it needs beyond the main environment."""

START_TIMEOUT_S = 60.0
STACKS_S = 2.0
FRAMES = 30

LAUNCH = """
import faulthandler, runpy, signal, sys
path = sys.argv.pop(1)
if hasattr(faulthandler, "register"):
    faulthandler.register(signal.SIGUSR1, open(path, "w"))
runpy.run_module("ipykernel_launcher", run_name="__main__", alter_sys=True)
"""
"""Begins a kernel that writes what its threads do when it is asked by a signal, however busy it is (not on Windows)."""

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class CellError:
    """How a cell failed; `traceback` is plain text."""

    ename: str
    evalue: str
    traceback: str


@dataclass
class Reply:
    """What one cell has shown so far; complete when `status` is "ok", "error" or "aborted"."""

    msg_id: str
    sent_at: float
    status: str = "pending"
    stdout: str = ""
    stderr: str = ""
    results: list[str] = field(default_factory=list)
    """`text/plain` of the cell's own value."""
    displays: list[dict[str, Any]] = field(default_factory=list)
    """Mime bundles of `display(...)`, and of later updates to them."""
    comms: list[dict[str, Any]] = field(default_factory=list)
    """Contents of the comm messages (widgets) that the cell sent."""
    pages: list[str] = field(default_factory=list)
    """`text/plain` of what is shown in the pager, as for `name?`."""
    error: CellError | None = None
    idle_at: float | None = None

    @property
    def seconds(self) -> float:
        """From sending the cell to the kernel being idle again."""
        if self.idle_at is None:
            raise RuntimeError("the cell has not ended")
        return self.idle_at - self.sent_at

    def take(self, message: dict[str, Any]) -> None:
        """Add one message of the kernel to what this cell shows."""
        content = message["content"]
        match message["msg_type"]:
            case "stream":
                setattr(self, content["name"], getattr(self, content["name"]) + content["text"])
            case "execute_result":
                self.results.append(content["data"].get("text/plain", ""))
            case "display_data" | "update_display_data":
                self.displays.append(content["data"])
            case "comm_open" | "comm_msg" | "comm_close":
                self.comms.append(content)
            case "error":
                trace = _ANSI.sub("", "\n".join(content["traceback"]))
                self.error = CellError(content["ename"], content["evalue"], trace)
            case "status" if content["execution_state"] == "idle":
                self.idle_at = time.perf_counter()


class Kernel:
    """A kernel process; use it in a `with` statement.

    `version` is `INSTALLED` or a key of `OTHER_KERNELS`. Anything not awaited in time raises TimeoutError. One that is
    interrupted at any time is not to be `measured` (see `unmeasured`).
    """

    def __init__(
        self,
        version: str = INSTALLED,
        *,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        measured: bool = True,
    ):
        self.version = version
        self._measured = measured
        self._cwd = cwd or Path.cwd()
        self._extra_env = env or {}
        self._replies: dict[str, Reply] = {}

    def __enter__(self) -> Kernel:
        self._private = Path(tempfile.mkdtemp(prefix="comfy_nb_kernel_"))
        self._manager = KernelManager(connection_file=str(self._private / "connection.json"))
        self._stacks = self._private / "stacks.txt"
        launch = [sys.executable, "-c", LAUNCH, str(self._stacks), "-f", "{connection_file}"]
        self._manager.kernel_spec.argv = launch
        self._manager.start_kernel(env=self._environment(), cwd=str(self._cwd))
        self._client = self._manager.client()
        try:
            self._client.start_channels()
            self._client.wait_for_ready(timeout=START_TIMEOUT_S)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.stop_channels()
        is_busy = any(reply.status == "pending" for reply in self._replies.values())
        self._manager.shutdown_kernel(now=is_busy)  # gently where it can be: a killed kernel leaves no coverage
        self._client.context.destroy(linger=0)
        shutil.rmtree(self._private, ignore_errors=True)

    def _environment(self) -> dict[str, str]:
        private = {"IPYTHONDIR": str(self._private), "JUPYTER_CONFIG_DIR": str(self._private)}
        env = {**(os.environ if self._measured else unmeasured()), **private, **self._extra_env}
        if self.version != INSTALLED:
            first = str(make_kernel_env(self.version))
            env["PYTHONPATH"] = os.pathsep.join(filter(None, [first, env.get("PYTHONPATH")]))
        return env

    def send(self, code: str, *, stop_on_error: bool = False) -> Reply:
        """Send a cell without waiting; its `Reply` fills while `wait` or another call reads the kernel.

        With `stop_on_error` its error aborts the cells that are queued behind it, as in Run All.
        """
        sent_at = time.perf_counter()
        msg_id = self._client.execute(code, allow_stdin=True, stop_on_error=stop_on_error)  # as a page does
        reply = self._replies[msg_id] = Reply(msg_id, sent_at)
        return reply

    @property
    def folder(self) -> Path:
        """The folder that it runs in."""
        return self._cwd

    def run(self, code: str, timeout: float = 30.0) -> Reply:
        """Run a cell to its end. An error in the cell is in the reply, not raised."""
        return self.wait(self.send(code), timeout)

    def wait(self, reply: Reply, timeout: float = 30.0) -> Reply:
        """Wait until the cell has ended and the kernel is idle."""
        deadline = time.perf_counter() + timeout
        self.wait_until(lambda: reply.idle_at is not None, timeout, f"the cell did not end: {reply}")
        while reply.status == "pending":
            try:
                message = self._client.get_shell_msg(timeout=max(deadline - time.perf_counter(), 0.1))
            except queue.Empty:
                raise TimeoutError(f"the kernel is idle but has not answered: {reply}") from None
            if answered := self._replies.get(message["parent_header"].get("msg_id")):
                answered.status = message["content"].get("status", "ok")
                shown = message["content"].get("payload", ())
                answered.pages += [each["data"]["text/plain"] for each in shown if each["source"] == "page"]
        return reply

    def wait_idle(self, timeout: float = 30.0) -> None:
        """Wait until every cell that was sent has ended."""
        for reply in list(self._replies.values()):
            self.wait(reply, timeout)

    def count_printed(self, text: str) -> int:
        """How often cells have printed a text so far, whichever cell it is shown below."""
        return sum(reply.stdout.count(text) for reply in self._replies.values())

    def wait_for_text(self, reply: Reply, text: str, timeout: float = 30.0) -> None:
        """Wait until the cell has printed `text`, as a sign of how far it got."""
        self.wait_until(lambda: text in reply.stdout, timeout, f"{text!r} was not printed: {reply}")

    def wait_until(self, condition: Callable[[], bool], timeout: float = 30.0, failure: str = "") -> None:
        """Read what the kernel sends until `condition` holds."""
        deadline = time.perf_counter() + timeout
        while not condition():
            try:
                message = self._client.get_iopub_msg(timeout=min(0.5, max(deadline - time.perf_counter(), 0)))
            except queue.Empty:
                if time.perf_counter() >= deadline:
                    failure = failure or f"nothing happened in {timeout} s"
                    raise TimeoutError(f"{failure}\n{self._what_threads_do()}") from None
                if not self._manager.is_alive():
                    raise RuntimeError(f"the kernel died. {failure}") from None
                continue
            if reply := self._replies.get(message["parent_header"].get("msg_id")):
                reply.take(message)

    def _what_threads_do(self) -> str:
        """Return the stacks of the kernel's main thread and of ours, twice: what stays the same is held up.

        They are told once for a kernel: the cells after the first one that hangs wait for that.
        """
        if not hasattr(signal, "SIGUSR1") or not self._stacks.exists() or self._stacks.read_text():
            return ""
        for _ in range(2):
            self.process.send_signal(signal.SIGUSR1)
            time.sleep(STACKS_S / 2)
        threads = self._stacks.read_text().replace("Current thread", "\nCurrent thread").split("\n\n")
        shown = [thread for thread in threads if "/comfy_nb/" in thread or thread.strip().startswith("Current thread")]
        return "\n".join("\n".join(thread.strip().splitlines()[:FRAMES]) for thread in shown)

    def answer(self, text: str, timeout: float = 30.0) -> None:
        """Wait until the running cell asks for a line of input, and give it."""
        self._client.get_stdin_msg(timeout=timeout)
        self._client.input(text)

    def inspect(self, code: str, detail: int = 0, timeout: float = 30.0) -> str:
        """Return the text that Shift+Tab shows behind `code`, without its colours."""
        msg_id = self._client.inspect(code, len(code), detail)
        while (message := self._client.get_shell_msg(timeout=timeout))["parent_header"].get("msg_id") != msg_id:
            pass
        return _ANSI.sub("", message["content"]["data"].get("text/plain", ""))

    def stop_button(self, reply: Reply) -> str:
        """Wait for the only stop button that a cell shows, and return its id."""

        def shown() -> list[str]:
            return [each["comm_id"] for each in reply.comms if "acknowledged" in each["data"].get("state", {})]

        self.wait_until(lambda: bool(shown() and reply.displays), failure="no stop button was shown")
        (stop,) = shown()
        return stop

    def wait_until_at_rest(self, timeout: float = 30.0) -> None:
        """Wait until the main thread stays in one wait, where the system tells (Linux).

        Python 3.11 loses a signal that comes while a thread hands the interpreter on, on its way into a lock's wait.
        """
        status = Path(f"/proc/{self._manager.provisioner.pid}/status")  # type: ignore[union-attr]
        deadline, before = time.perf_counter() + timeout, ""
        while status.exists():
            lines = status.read_text().splitlines()
            now = "".join(line for line in lines if line.startswith(("State:", "voluntary_ctxt_switches:")))
            if "sleeping" in now and now == before:
                return
            if time.perf_counter() > deadline:
                raise TimeoutError(f"the main thread is not at rest: {now}")
            before = now
            time.sleep(0.05)

    def interrupt(self) -> float:
        """Send SIGINT, as the notebook's stop button does; returns the time of sending."""
        now = time.perf_counter()
        self._manager.interrupt_kernel()
        return now

    def interrupt_to_idle(self, reply: Reply, timeout: float = 30.0) -> float:
        """Interrupt the cell and wait for its end; seconds from the signal to the kernel being idle."""
        sent = self.interrupt()
        self.wait(reply, timeout)
        assert reply.idle_at is not None
        return reply.idle_at - sent

    def new_subshell(self, timeout: float = 30.0) -> str:
        """Create a subshell, a kernel thread for messages while a cell runs (ipykernel 7 and later); returns its id."""
        self._client.control_channel.send(self._client.session.msg("create_subshell_request", {}))
        while (message := self._client.get_control_msg(timeout=timeout))["msg_type"] != "create_subshell_reply":
            pass
        return str(message["content"]["subshell_id"])

    def send_to_widget(self, comm_id: str, content: Any, subshell: str | None = None) -> Reply:
        """Send a widget's model a custom message, as its view in a browser does; the reply collects what it causes."""
        return self._send_comm(comm_id, {"method": "custom", "content": content}, subshell)

    def change_widget(self, comm_id: str, **state: Any) -> Reply:
        """Change a widget's traits, as a person does in a browser."""
        return self._send_comm(comm_id, {"method": "update", "state": state, "buffer_paths": []})

    def _send_comm(self, comm_id: str, data: dict[str, Any], subshell: str | None = None) -> Reply:
        message = self._client.session.msg("comm_msg", {"comm_id": comm_id, "data": data})
        message["header"]["subshell_id"] = subshell
        msg_id = message["header"]["msg_id"]
        reply = self._replies[msg_id] = Reply(msg_id, time.perf_counter(), "ok")  # comm messages have no reply
        self._client.shell_channel.send(message)
        return reply

    def shut_down(self, timeout: float = 30.0) -> float:
        """Ask the kernel to end, and wait for that without killing it; returns the seconds it took."""
        sent_at = time.perf_counter()
        self._client.shutdown()
        self.process.wait(timeout)
        return time.perf_counter() - sent_at

    @property
    def process(self) -> psutil.Process:
        """The kernel's process."""
        return psutil.Process(self._manager.provisioner.pid)  # type: ignore[union-attr]

    def restart(self) -> None:
        """Replace the kernel by a fresh process; the replies to earlier cells are dropped."""
        self._replies.clear()
        self._client.stop_channels()
        self._manager.restart_kernel(now=True)
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=START_TIMEOUT_S)


def make_kernel_env(version: str) -> Path:
    """A folder that provides another ipykernel when it is first on PYTHONPATH; built once and kept."""
    folder = Path(sys.prefix) / "kernels" / version
    if folder.is_dir():
        return folder
    folder.parent.mkdir(exist_ok=True)
    building = Path(tempfile.mkdtemp(dir=folder.parent, prefix="building_"))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(building)]
    subprocess.run([*command, *OTHER_KERNELS[version]], check=True, stdin=subprocess.DEVNULL)
    building.rename(folder)
    return folder
