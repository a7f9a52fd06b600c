"""Executing one run: from the wanted nodes of a plan to its end.

Begin with `executor`: it takes ready nodes from the `scheduler` (a pure state machine over `node_run`s), has `callers`
call them on `lanes` (threads) or the event loop, and passes on what they return. `turn` is one node's turn: inputs,
calls, outputs. `lookup` is the run's view of the cache, `state` what all parts share, `event_log` what subscribers get;
`breakpoints` and `pauses` hold a run at a value.
Nothing here knows the person's side (`Session`, `Run`, `Job`): a run gets its session's parts as `services`.
"""
