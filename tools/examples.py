"""Let the site's reference show a docstring's `>>>` lines as code, with or without a heading above."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

_FIRST = re.compile(r"(?<!-\n)^>>> ", re.MULTILINE)


class Examples(Extension):
    """Puts the heading there that NumPy's style has for them."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Change a docstring as it is read."""
        if obj.docstring is not None and ">>> " in obj.docstring.value:
            obj.docstring.value = _FIRST.sub("Examples\n--------\n>>> ", obj.docstring.value, count=1)
