"""How a graph runs. The life of a run, in the order in which the files come into it:

    session.py                  `Session.run(graph)`: takes the graph's plan and makes a run
    planning/planned.py           the plan of a graph, held while the graph lives
    planning/plan.py              checked steps in topological order, kept up to date after edits; what runs by default
    planning/step.py, keys.py     a step, its `NodeKey`, and how that is made of what is above it
    planning/inside.py            what is known to run inside nodes, and completes their keys
    planning/modes.py             what surrounds the run, for its keys and its nodes; torch_modes.py, torch_settings.py
    run.py                      `Run`: what the person holds (why, summary; values.py); in the background: job.py
    run_task.py                 `RunTask`: prepares, executes, ends; may be stopped at any moment
    planning/class_hooks.py       calls VALIDATE_INPUTS and fingerprints; hidden_inputs.py: PROMPT, UNIQUE_ID ...
    planning/validity.py          which of the wanted outputs can run
    presenter.py                  what shows the run (ui/ installs itself here)
    execution/state.py            `RunState`: what the parts below share of one run (turn_services.py: of a turn)
    execution/executor.py         moves it: lock, lanes, tasks, the end
    execution/results.py          takes what nodes came to; after_failure.py: what a failed one does to the run
    execution/scheduler.py        a pure state machine: which nodes wait, are ready, run, are done
    execution/lookup.py           cached results, keys that become known late; claims.py: equal nodes in flight
    execution/in_place.py         which of its inputs a node changed; outdated.py: what a run drops at its end
    execution/nesting.py          which lanes and loop a run has that a node waits for; node_threads.py: on its threads
    execution/lanes.py            threads for sync nodes; abandon.py: one that will not stop; cancelling.py: tasks
    execution/callers.py          call a node on a lane or on the loop; retry.py: once more? backoff.py: the wait
    execution/coroutines.py       an async node, step by step; stepped_modes.py: its modes between the steps
    execution/turn.py             one node's turn: inputs (lazy ones too), list calls, blockers; returned.py: outputs
    execution/expansion.py        nodes that a node expanded into; redo.py: what one of them takes the place of
    execution/inside.py           what ran inside a node, for its key
    execution/skips.py            blocked calls, told from the cache too; remarks.py: so is what nodes are warned of
    execution/breakpoints.py      pauses at a value (pauses.py); failure.py: the error
    execution/interrupt.py        Interrupt in a cell that awaits; blocking.py, held_back.py: in code that cannot
    execution/other_threads.py    Interrupt, for what other threads await; main_thread.py: what they see of it
    execution/held_loop.py        Stop and Interrupt where an async node keeps the loop to itself
    execution/process_end.py      runs are stopped, and threads ended, before the interpreter ends
    node_api/                   what a running node may call: progress, blockers, graph_builder.py (ids of expansions)
    cache/store.py              results, are they still good? memory.py (its limit: memory_use.py), disk.py, seal.py
    events.py                   what the run tells; execution/event_log.py makes and delivers it
    history.py, why.py          why a node ran: what is different from the last time; estimate.py: how long it will take
    last_runs.py                the last run of each cell
    expanded.py                 what cached nodes expanded into, for as long as they are there
    provenance.py               where a value that was handed out came from

The engine imports no notebook, widget or HTTP library. See ARCHITECTURE.md for threads and rules.
"""

from comfy_nb.engine.events import Event, Subscriber
from comfy_nb.engine.job import Job
from comfy_nb.engine.run import Run
from comfy_nb.engine.session import Session

__all__ = ["Event", "Job", "Run", "Session", "Subscriber"]
