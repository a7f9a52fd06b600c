"""What the failure of a node does to its run: it ends, or goes on with all that does not need the node."""

from __future__ import annotations

from collections.abc import Sequence

from comfy_nb.engine.execution.failure import group_of
from comfy_nb.engine.execution.node_run import NodeRun, NodeState
from comfy_nb.engine.execution.scheduler import Scheduler
from comfy_nb.engine.execution.state import RunState, Status
from comfy_nb.errors import NodeError


class Failures:
    """The failures of one run's nodes; called by the owner of the scheduler. `error` is what ends the run, if any."""

    def __init__(self, state: RunState, scheduler: Scheduler) -> None:
        self.error: BaseException | None = None
        self._state = state
        self._scheduler = scheduler
        self._event_log = state.event_log
        scheduler.on_given_up = self._report_given_up

    def take(self, node_run: NodeRun, failure: NodeError, is_contained: bool, stuck: Sequence[NodeRun] = ()) -> bool:
        """Take a node's failure, and give up what needs it or is `stuck`; True where the run is to end instead.

        It ends too where the failure is not contained: where it may have left the scheduler in disorder.
        """
        self._state.failures.append(failure)
        self._event_log.node_failed(node_run, failure)
        if self._state.goes_on_after_failures and is_contained:
            self._scheduler.fail(node_run, stuck)
            return False
        self.error = failure
        return True

    def final_status(self, status: Status) -> Status:
        """Return the status in which the run ends; one that went on after failures has failed, with all of them."""
        failures = self._state.failures if self._state.goes_on_after_failures else ()
        if failures and status in (Status.DONE, Status.FAILED) and isinstance(self.error, NodeError | None):
            self.error = group_of(failures)
            return Status.FAILED
        return status

    def _report_given_up(self, node_run: NodeRun) -> None:
        """Report a node that needs one that failed: as failed itself, where that was in its expansion."""
        failed = self._scheduler.failed_above[node_run.step.id]
        if node_run.state is NodeState.FAILED:
            failed_id = self._scheduler.origin_of_failure(node_run).step.id
            failure = next(each for each in self._state.failures if each.real_node_id == failed_id)
            self._event_log.node_failed(node_run, failure)
        else:
            self._event_log.node_given_up(node_run, failed.step.id, f"waits for {failed.step.named}, which failed")
