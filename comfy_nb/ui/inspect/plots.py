"""Long rows of numbers, and sound, as what a plot of some hundred points needs of them."""

from __future__ import annotations

import io
import wave

import numpy as np
import torch

from comfy_nb.ui.inspect.arrays import floats

POINTS_MAX = 1_000
PLAYED_MAX_S = 60
NEAR = 64


def envelope(row: torch.Tensor, points: int = POINTS_MAX) -> tuple[bytes, bytes]:
    """Return the least and the greatest of each of at most `points` stretches of a [N] row, as float32 each.

    A stretch with a value that is not a number is NaN; of a stretch that is longer than `NEAR` values only so many
    are read, so that the cost is bounded.
    """
    count = row.numel()
    if not count:
        return b"", b""
    length = -(-count // max(1, min(points, POINTS_MAX)))
    whole = count // length * length
    stretches = [row[:whole].unflatten(0, (whole // length, length)), row[whole:][None]]
    near = max(1, length // NEAR)
    values = [floats(each[:, ::near]).cpu().numpy() for each in stretches if each.numel()]
    low = np.concatenate([each.min(1) for each in values])
    high = np.concatenate([each.max(1) for each in values])
    return low.astype(np.float32).tobytes(), high.astype(np.float32).tobytes()


def wav(waveform: torch.Tensor, rate: int) -> bytes:
    """Return at most a minute of a [C, T] or [T] waveform in -1..1 as a 16-bit WAV file."""
    sound = waveform if waveform.ndim == 2 else waveform[None]
    sound = floats(sound[:2, : rate * PLAYED_MAX_S]).nan_to_num(0.0).clamp(-1, 1).cpu()
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(sound.shape[0])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((sound.T * 32767).round().to(torch.int16).numpy().astype("<i2").tobytes())
    return buffer.getvalue()
