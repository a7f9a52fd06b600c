"""Long rows of numbers, reduced to what a plot of some hundred points needs, and audio as WAV."""

from __future__ import annotations

import io
import wave

import numpy as np
import torch

from comfy_nb.ui.inspect.arrays import floats

POINTS_MAX = 1_000
PLAYED_MAX_S = 60
READ_PER_STRETCH = 64


def envelope(row: torch.Tensor, points: int = POINTS_MAX) -> tuple[bytes, bytes]:
    """Return the minima and the maxima of at most `points` stretches of a [N] row, as float32.

    A stretch with a NaN is NaN. Of a long one only about `READ_PER_STRETCH` values are read, to bound the cost.
    """
    count = row.numel()
    if not count:
        return b"", b""
    length = -(-count // max(1, min(points, POINTS_MAX)))
    whole = count // length * length
    stretches = [row[:whole].unflatten(0, (whole // length, length)), row[whole:][None]]
    step = max(1, length // READ_PER_STRETCH)
    values = [floats(each[:, ::step]).cpu().numpy() for each in stretches if each.numel()]
    low = np.concatenate([each.min(1) for each in values])
    high = np.concatenate([each.max(1) for each in values])
    return low.astype(np.float32).tobytes(), high.astype(np.float32).tobytes()


def wav(waveform: torch.Tensor, rate: int) -> bytes:
    """Return at most a minute of a [C, T] or [T] waveform in -1..1 as a 16-bit WAV file."""
    samples = waveform if waveform.ndim == 2 else waveform[None]
    samples = floats(samples[:2, : rate * PLAYED_MAX_S]).nan_to_num(0.0).clamp(-1, 1).cpu()
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(samples.shape[0])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples.T * 32767).round().to(torch.int16).numpy().astype("<i2").tobytes())
    return buffer.getvalue()
