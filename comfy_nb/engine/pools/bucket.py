"""A token bucket: how many calls may begin, as many a minute as it holds, refilled evenly.

See https://en.wikipedia.org/wiki/Token_bucket.
"""

from __future__ import annotations


class TokenBucket:
    """A bucket that holds `per_minute` tokens and is full at first. All times are seconds of one clock."""

    def __init__(self, per_minute: int, now: float) -> None:
        self.per_minute = per_minute
        self._tokens = float(per_minute)
        self._counted_at = now

    def next_at(self, count: int, now: float) -> float:
        """Return when this many tokens will be there, if nobody takes any; not after `now` where they are.

        More than it holds are there when it is full.
        """
        self._refill(now)
        missing = min(count, self.per_minute) - self._tokens
        return self._counted_at + max(0.0, missing) * 60.0 / self.per_minute

    def take(self, count: int) -> None:
        """Take tokens that are there; those beyond what it holds are to be refilled first."""
        self._tokens -= count

    def empty(self, now: float, for_seconds: float) -> None:
        """Empty it; the next token is there after so many seconds, and then the others as ever."""
        self._tokens, self._counted_at = 1.0, max(now + for_seconds, self._counted_at)

    def resize(self, per_minute: int, now: float) -> None:
        """Hold another number of tokens from now on."""
        self._refill(now)
        self._tokens = min(self._tokens, float(per_minute))
        self.per_minute = per_minute

    def _refill(self, now: float) -> None:
        passed = now - self._counted_at
        if passed > 0:
            self._tokens = min(float(self.per_minute), self._tokens + passed * self.per_minute / 60.0)
            self._counted_at = now
