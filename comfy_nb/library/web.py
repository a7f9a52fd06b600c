"""Async nodes: downloads, a wait that reports progress, and a shared rate limit."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from comfy_nb.engine.node_api.progress import ProgressBar
from comfy_nb.library.declare import float_input, int_input, string_input
from comfy_nb.library.pictures import read_picture
from comfy_nb.wording import clip

if TYPE_CHECKING:
    from aiohttp import ClientResponse
    from torch import Tensor

MAX_DOWNLOAD_BYTES = 256 * 2**20
SHOWN_MAX = 200


def _url_inputs() -> dict[str, Any]:
    tooltip = "http:// or https:// address. It is downloaded once; .fresh() does it anew."
    return {
        "url": string_input(multiline=False, default="", tooltip=tooltip),
        "timeout": float_input(30.0, 0.1, 3600.0, 0.1, tooltip="Seconds until the request is given up."),
    }


class FetchImage:
    """Download an image over HTTP: one image per frame, and a mask that is 1 where it is transparent."""

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
    """Download JSON over HTTP, as a Python value and as the text itself."""

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
                f"{url} did not answer with JSON ({error}): {clip(content, SHOWN_MAX)!r}. "
                "Check the address, and whether it needs a key."
            ) from error


async def download(url: str, timeout: float) -> bytes:
    """Return the body of the answer of `url`.

    Raises TimeoutError after `timeout` seconds, ConnectionError where there is no answer or its status is not 200,
    and ValueError for an address that is not valid or an answer of more than 256 MiB.
    """
    import aiohttp

    limits = aiohttp.ClientTimeout(total=timeout)
    try:
        async with (
            aiohttp.ClientSession(timeout=limits, trust_env=True) as session,
            session.get(url) as response,
        ):
            if response.status != 200:
                shown = clip((await _body(response, url)).decode(errors="replace"), SHOWN_MAX)
                raise ConnectionError(f"{url} answered {response.status} {response.reason}: {shown!r}.")
            return await _body(response, url)
    except TimeoutError as error:
        raise TimeoutError(
            f"{url} did not answer completely within {timeout:g} s. Raise `timeout`, or try again later."
        ) from error
    except aiohttp.TooManyRedirects as error:
        raise ConnectionError(f"{url} leads from one address to the next without end. Check the address.") from error
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, UnicodeError) as error:
        raise ValueError(f"{url!r} is not a valid address. Give a full http:// or https:// address.") from error
    except aiohttp.ClientError as error:
        raise ConnectionError(f"{url} could not be reached: {error}. Check the address and the network.") from error


async def _body(response: ClientResponse, url: str) -> bytes:
    parts = bytearray()
    async for part in response.content.iter_chunked(2**16):
        parts += part
        if len(parts) > MAX_DOWNLOAD_BYTES:
            raise ValueError(f"{url} answered with more than {MAX_DOWNLOAD_BYTES // 2**20} MiB, which is the limit.")
    return bytes(parts)


class SleepWithProgress:
    """Pass a value on after some seconds and report progress step by step; other nodes run meanwhile."""

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
        progress = ProgressBar(steps)
        for _ in range(steps):
            await asyncio.sleep(seconds / steps)
            progress.update(1)
        return (value,)


class RateLimiter:
    """Lets callers pass one by one, with a minimum time between them."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._free_at_s = float("-inf")

    async def wait(self, per_second: float) -> None:
        """Wait until a call is allowed; a caller that is cancelled does not use up a slot."""
        if per_second <= 0:
            raise ValueError(f"calls_per_second must be above 0, got {per_second:g}.")
        while (wait_s := self._free_at_s - self._clock()) > 0:
            await self._sleep(wait_s)
        self._free_at_s = self._clock() + 1 / per_second


class RateLimitedCall:
    """Pass a value on when it is its turn: all nodes of this class share one limit of calls per second."""

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
