"""The notebook's commands: `%load_ext ccnb` gives `%%cc` and its kin."""

from ccnb.magics.extension import CcMagics, load, unload

__all__ = ["CcMagics", "load", "unload"]
