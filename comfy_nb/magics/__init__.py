"""The IPython magics: `%comfy` and `%%node`."""
