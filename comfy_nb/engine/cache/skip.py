"""A call that blockers kept from being made, and the calls above it that they came from."""

from __future__ import annotations

Place = tuple[tuple[str, str], ...]
"""A node by (id, class), after the nodes whose expansions it is part of, that of the graph first."""


class Skip:
    """A call that was skipped because of blockers on its `inputs`: their names, with what was skipped above for each.

    `place` is where. `message` is that of the blocker, if it came from right above and has one; `root` that of the
    first one on the way.
    """

    __slots__ = ("inputs", "message", "place", "root")

    def __init__(self, place: Place, inputs: tuple[tuple[str, Skip | None], ...], message: str | None) -> None:
        self.place = place
        self.inputs = inputs
        self.message = message
        roots = (above.root for _, above in inputs if above is not None)
        self.root: str | None = message if message is not None else next(filter(None, roots), None)

    @property
    def reason(self) -> str:
        """Why the call was skipped, in words."""
        if self.message is not None:
            return self.message
        if self.root is not None:
            return f"a node above it is blocked: {self.root}"
        return f"its input {self.inputs[0][0]!r} is blocked"
