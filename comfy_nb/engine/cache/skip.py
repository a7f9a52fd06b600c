"""A call that blockers kept from being made, and the calls above it that they came from."""

from __future__ import annotations


class Skip:
    """A call that was skipped because of blockers on its `inputs`: their names, with what was skipped above for each.

    `message` is that of the blocker, if it came from right above and has one; `root` that of the first one on the way.
    """

    __slots__ = ("class_type", "inputs", "message", "root")

    def __init__(self, class_type: str, inputs: tuple[tuple[str, Skip | None], ...], message: str | None) -> None:
        self.class_type = class_type
        self.inputs = inputs
        self.message = message
        roots = (above.root for _, above in inputs if above is not None)
        self.root: str | None = message if message is not None else next(filter(None, roots), None)

    def __comfy_nb_key__(self) -> str | None:
        """Return what counts of it where a blocker is digested: not the calls above, which may be thousands."""
        return self.message

    @property
    def reason(self) -> str:
        """Why the call was skipped, in words."""
        if self.message is not None:
            return self.message
        if self.root is not None:
            return f"a node above it is blocked: {self.root}"
        return f"its input {self.inputs[0][0]!r} is blocked"
