"""From a graph to what can run: checked steps in topological order, each with its cache key.

Begin with `plan`: it makes a `step` of each node and brings itself up to date when the graph is edited. `keys` computes
the cache keys, `validity` sorts the wanted outputs into those that can run and those that cannot, and `class_hooks`
calls VALIDATE_INPUTS and fingerprints. Nothing here executes a node or knows the cache, sessions or runs.
"""
