"""The parts of the engine that a node's code can use while it runs, under ComfyUI's names.

Begin with `context`: which run and node are calling, interrupts, and `ExecutionBlocker`. `progress` has progress bars,
previews and texts, `graph_builder` makes the graphs that nodes expand into. A call reaches its run through two methods
and a flag (`RunSide`); nothing here knows the scheduler, the cache or sessions.
"""
