"""The pauses of one run: nodes that are held at their breakpoints, until each is let go on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from comfy_nb.engine.cache.entry import Outputs
from comfy_nb.engine.execution.breakpoints import Breakpoint, Pause, is_wanted
from comfy_nb.engine.execution.scheduler import Ticket

if TYPE_CHECKING:
    from comfy_nb.engine.execution.executor import Drive


class Pauses:
    """Begins and ends the pauses of a run, on its loop. `at` are its breakpoints by the ids of their nodes."""

    def __init__(self, drive: Drive) -> None:
        self.run = drive.run
        self.loop = drive.loop
        self._drive = drive
        self._now: list[Pause] = []
        self.at = drive.session.breakpoints.of(drive.run.graph)
        if self.at:
            drive.schedule.breakpoints = self.at.keys()
            drive.lookup.below = drive.run.plan.below(self.at)

    def begin(self, ticket: Ticket) -> None:
        """A value is there that has breakpoints."""
        if self._drive.is_over:
            return
        if ticket.source != "ran":
            self.run.journal.node_started(ticket, "loop")
        self._hold(ticket, self.at[ticket.step.id])

    def resume(self, pause: Pause, replaced: Outputs | None) -> None:
        """Go on, with other outputs than those that were computed if some are given."""
        drive, ticket = self._drive, pause.ticket
        if drive.is_over:
            pause.state = "stopped"
            return
        if replaced is None and drive.lookup.was_written_to(ticket):
            replaced = ticket.outputs
        if replaced is not None:
            self._replace(ticket, replaced)
        self._now.remove(pause)
        pause.close()
        if pause.next:
            self._hold(ticket, pause.next)
            return
        self.run.node_finished(ticket)
        try:
            with drive.lock:
                drive.schedule.release(ticket, ticket.outputs or ())
        except Exception as error:  # an expansion's outputs may not fit
            drive.fail(ticket, error)
        drive.kick()

    def fail(self, ticket: Ticket, error: Exception) -> None:
        """Let the run fail at a node that waits."""
        self._drive.fail(ticket, error)

    def close(self) -> None:
        """The run has ended."""
        for pause in self._now:
            pause.close()

    def _hold(self, ticket: Ticket, points: Sequence[Breakpoint]) -> None:
        """Pause at the first of these; the others come when it goes on."""
        pause = Pause(self, ticket, points)
        self._now.append(pause)
        try:
            if not is_wanted(pause):
                pause.resume()
                return
        except Exception as error:
            self._drive.fail(ticket, error)
            return
        pause.point.hold(pause)
        if pause.point.is_removed:  # by another thread, since it was asked for
            pause.resume()
            return
        self.run.node_waits(ticket, "paused at a breakpoint", 0)
        self._drive.session.breakpoints.tell(pause)

    def _replace(self, ticket: Ticket, outputs: Outputs) -> None:
        self.run.taint()
        ticket.key = ticket.base = ticket.entry = None
        ticket.source = "replaced"
        ticket.outputs = outputs
        self._drive.schedule.kept.add(ticket.step.id)  # it is nowhere else
