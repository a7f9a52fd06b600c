"""Async nodes: calls over the network, waiting with progress, and a shared rate limit."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from comfy_nb.library.declare import float_input, int_input, string_input
from comfy_nb.library.pictures import read_picture

if TYPE_CHECKING:
    from torch import Tensor

MAX_DOWNLOAD_BYTES = 256 * 2**20
SHOWN_CHARACTERS = 200


def _url_inputs() -> dict[str, Any]:
    return {
        "url": string_input(multiline=False, default="", tooltip="http:// or https:// address."),
        "timeout": float_input(30.0, 0.1, 3600.0, 0.1, tooltip="Seconds after which the call is given up."),
    }


class FetchImage:
    """Get a picture over HTTP as images, one for each frame, and a mask of where it is transparent."""

    RETURN_TYPES = ("IMAGE", "MASK")
    FUNCTION = "fetch"
    CATEGORY = "comfy_nb/async"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": _url_inputs()}

    async def fetch(self, url: str, timeout: float) -> tuple[Tensor, Tensor]:
        data = await download(url, timeout)
        return await asyncio.to_thread(read_picture, data, url)


class FetchJSON:
    """Get JSON over HTTP as a Python value, and as the text it came as."""

    RETURN_TYPES = ("*", "STRING")
    RETURN_NAMES = ("value", "text")
    FUNCTION = "fetch"
    CATEGORY = "comfy_nb/async"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": _url_inputs()}

    async def fetch(self, url: str, timeout: float) -> tuple[Any, str]:
        content = (await download(url, timeout)).decode("utf-8-sig", errors="replace")
        try:
            return json.loads(content), content
        except ValueError as error:
            raise ValueError(
                f"{url} answered with something that is no JSON ({error}): {_start(content)!r}. "
                "Check the address, or whether it wants a key."
            ) from error


async def download(url: str, timeout: float) -> bytes:
    """Return what `url` answers within `timeout` seconds.

    Raises TimeoutError, ConnectionError where nobody answers or the status is not 200, and ValueError for an
    address that cannot be called or an answer of more than 256 MiB.
    """
    import aiohttp

    limits = aiohttp.ClientTimeout(total=timeout)
    try:
        async with (
            aiohttp.ClientSession(timeout=limits, trust_env=True) as session,
            session.get(url) as response,
        ):
            if response.status != 200:
                shown = _start((await _body(response, url)).decode(errors="replace"))
                raise ConnectionError(f"{url} answered {response.status} {response.reason}: {shown!r}.")
            return await _body(response, url)
    except TimeoutError as error:
        raise TimeoutError(
            f"{url} did not answer in full within {timeout:g} s. Raise `timeout`, or try again later."
        ) from error
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise ValueError(f"{url!r} cannot be called. Give a full http:// or https:// address.") from error
    except aiohttp.ClientError as error:
        raise ConnectionError(f"{url} could not be reached: {error}. Check the address and the network.") from error


async def _body(response: Any, url: str) -> bytes:
    parts = bytearray()
    async for part in response.content.iter_chunked(2**16):
        parts += part
        if len(parts) > MAX_DOWNLOAD_BYTES:
            raise ValueError(f"{url} answers with more than {MAX_DOWNLOAD_BYTES // 2**20} MiB, which is too much.")
    return bytes(parts)


def _start(content: str) -> str:
    return content[:SHOWN_CHARACTERS] + ("..." if len(content) > SHOWN_CHARACTERS else "")


class SleepWithProgress:
    """Pass any value on after some seconds, reporting progress step by step; other nodes go on meanwhile."""

    RETURN_TYPES = ("*",)
    RETURN_NAMES = ("value",)
    FUNCTION = "sleep"
    CATEGORY = "comfy_nb/async"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "value": ("*",),
                "seconds": float_input(1.0, 0.0, 86400.0, 0.1),
                "steps": int_input(10, 1, 10000),
            }
        }

    async def sleep(self, value: Any, seconds: float, steps: int) -> tuple[Any]:
        from comfy_nb.engine.node_api.context import ProgressBar

        progress = ProgressBar(steps)
        for _ in range(steps):
            await asyncio.sleep(seconds / steps)
            progress.update(1)
        return (value,)


class RateLimiter:
    """Lets callers through one by one, with a least time between two of them."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._free_at_s = float("-inf")

    async def wait(self, per_second: float) -> None:
        """Return when a call is allowed; a caller that is cancelled takes no slot."""
        if per_second <= 0:
            raise ValueError(f"calls_per_second must be above 0, not {per_second:g}.")
        while (wait_s := self._free_at_s - self._clock()) > 0:
            await self._sleep(wait_s)
        self._free_at_s = self._clock() + 1 / per_second


class RateLimitedCall:
    """Pass any value on when it is its turn: all of these nodes together let so many through per second."""

    RETURN_TYPES = ("*",)
    RETURN_NAMES = ("value",)
    FUNCTION = "call"
    CATEGORY = "comfy_nb/async"

    LIMITER = RateLimiter()

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"value": ("*",), "calls_per_second": float_input(1.0, 0.001, 1000.0)}}

    async def call(self, value: Any, calls_per_second: float) -> tuple[Any]:
        await self.LIMITER.wait(calls_per_second)
        return (value,)
