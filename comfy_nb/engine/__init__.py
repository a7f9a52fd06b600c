"""How a graph runs: plan, keys, cache, scheduler, lanes, calls and events."""
