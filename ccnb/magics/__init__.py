"""The notebook's commands: `%load_ext ccnb` gives `%%cc` and its kin."""

from ccnb.magics.commands import CcMagics
from ccnb.magics.extension import load, unload

__all__ = ["CcMagics", "load", "unload"]
