"""Node specs, socket types, the ways to make a spec, and digests of values and code."""

from comfy_nb.spec import code, contents

__all__ = ["code", "contents"]
