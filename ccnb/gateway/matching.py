"""When two requests are the same, though asked on another day, on another machine, in another folder.

What is set aside is declared here and nowhere else: `SETTINGS`, `RULES`, and the paths of the place. All
else counts: the model, the system prompt, every message, the names of the tools, the other settings.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ccnb.redact import Redactor

SETTINGS = ("metadata", "stream", "max_tokens")
"""Parts of a request that don't count: an account's ids, and what an agent changes when it asks again."""

_DATE = (
    r"\b\d{4}-\d{2}-\d{2}"
    r"(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?(?![A-Za-z0-9])"
)
_DATE_IN_WORDS = (
    r"\b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? +)?"
    r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]* +\d{1,2}(?:, \d{4})?"
    r"(?: +\d{2}:\d{2}(?::\d{2})?)?(?: +[A-Z]{3,4})?(?: +\d{4})?\b"
)

RULES: tuple[tuple[str, re.Pattern[str], str], ...] = tuple(
    (name, re.compile(pattern, flags), instead)
    for name, pattern, flags, instead in (
        (
            "environment lines",
            r"^( - (?:Primary working directory|Is a git repository|Platform|Shell|OS Version):) .*$",
            re.MULTILINE,
            r"\1 {{here}}",
        ),
        ("git status", r"^gitStatus: .*(?:\n(?!#|<).*)*", re.MULTILINE, "gitStatus: {{here}}"),
        ("billing header", r"^x-anthropic-billing-header: .*$", re.MULTILINE, "x-anthropic-billing-header:"),
        ("scratch folder", r"/tmp/claude-\d+\b", 0, "/tmp/claude-{{user}}"),  # noqa: S108 - only looked for
        (
            "session id",
            r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
            re.IGNORECASE,
            "{{id}}",
        ),
        ("account", r"\b[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+\b", 0, "{{address}}"),
        (
            "date and time",
            _DATE,
            re.ASCII,
            "{{date}}",
        ),
        (
            "date in words",
            _DATE_IN_WORDS,
            re.ASCII,
            "{{date}}",
        ),
        ("clock time", r"\b\d{2}:\d{2}:\d{2}(?:[.,]\d+)?\b", re.ASCII, "{{time}}"),
        # Last, as its length is limited: what is in it is as short as it will be.
        ("environment block", r"<env>.{0,4000}?</env>", re.DOTALL, "<env></env>"),
    )
)
"""What differs from run to run in a text: a name, what is looked for, and what is put there instead."""

_SHOWN = 40


@dataclass(frozen=True)
class Paths:
    """Where a place has its folders. Cassettes have a word in their place, replays put theirs there."""

    workspace: str
    run_folder: str = ""

    @property
    def _words(self) -> list[tuple[str, str]]:
        """Return paths with their words, as written and as Claude makes folder names of them."""
        named = (("workspace", self.workspace), ("run", self.run_folder))
        pairs = [(path, f"{{{{ccnb {name}}}}}") for name, path in named if len(path) > 1]
        pairs += [
            (re.sub(r"[^A-Za-z0-9]", "-", path), f"{{{{ccnb {name} name}}}}")
            for name, path in named
            if len(path) > 1
        ]
        return sorted(pairs, key=lambda pair: -len(pair[0]))

    def hide(self, value: Any) -> Any:
        """Return a JSON value with words for the paths in all its texts."""
        words = [(_whole(path), word) for path, word in self._words]

        def change(text: str) -> str:
            for pattern, word in words:
                text = pattern.sub(word, text)
            return text

        return each_text(value, change)

    def show(self, value: Any) -> Any:
        """Return a JSON value with the paths for their words."""
        words = self._words

        def change(text: str) -> str:
            for path, word in words:
                text = text.replace(word, path)
            return text

        return each_text(value, change)


def same_text(text: str) -> str:
    """Return a text without what differs from run to run."""
    for _, pattern, instead in RULES:
        text = pattern.sub(instead, text)
    return text


def request_of(body: Mapping[str, Any], paths: Paths, redactor: Redactor) -> dict[str, Any]:
    """Return what counts of a request, in one form; made of such a form it is the same again."""
    kept = {name: value for name, value in body.items() if name not in SETTINGS}
    kept["tools"] = [_tool_name(tool) for tool in _list(body.get("tools"))]
    kept["system"] = _blocks(body.get("system"))
    kept["messages"] = [
        {**message, "content": _blocks(message.get("content"))}
        for message in _list(body.get("messages"))
        if isinstance(message, Mapping)
    ]
    # Secrets first: no rule must take a part of one for something else.
    hidden = paths.hide(redactor.value(_without_cache_marks(kept)))
    same: dict[str, Any] = each_text(hidden, same_text)
    return same


def key_of(request: Mapping[str, Any]) -> str:
    """Return a digest that requests which are the same have in common."""
    return hashlib.blake2b(json.dumps(request, sort_keys=True).encode(), digest_size=16).hexdigest()


def likeness(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[int, ...]:
    """Return how alike two requests are, to be compared with others: the higher the more."""
    mine, theirs = one["messages"], other["messages"]
    shared = next((n for n, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), None)
    shared = min(len(mine), len(theirs)) if shared is None else shared
    settings = sum(one.get(name) == other.get(name) for name in ("model", "system", "tools"))
    return (shared, -abs(len(mine) - len(theirs)), settings)


def difference(recorded: Any, asked: Any) -> str:
    """Return where two requests first differ, and how, in a few words."""
    for where, one, other in _differences(recorded, asked, ""):
        return f"{where}: recorded is {_snippet(one, other)}, asked {_snippet(other, one)}"
    return "nothing"


def each_text(value: Any, change: Callable[[str], str]) -> Any:
    """Return a JSON value with every text in it changed; names stay."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [each_text(item, change) for item in value]
    if isinstance(value, Mapping):
        return {name: each_text(item, change) for name, item in value.items()}
    return value


_ABSENT = object()


def _differences(one: Any, other: Any, where: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for name in dict.fromkeys((*one, *other)):
            inner = f"{where}.{name}" if where else name
            yield from _differences(one.get(name, _ABSENT), other.get(name, _ABSENT), inner)
    elif isinstance(one, list) and isinstance(other, list):
        for number in range(max(len(one), len(other))):
            mine, theirs = (items[number] if number < len(items) else _ABSENT for items in (one, other))
            yield from _differences(mine, theirs, f"{where}[{number}]")
    elif one is _ABSENT or other is _ABSENT or one != other:
        yield where, one, other


def _snippet(value: Any, other: Any) -> str:
    """Return a value, short: of a long text what stands around the first difference."""
    if value is _ABSENT:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value)
    start = 0
    if isinstance(value, str) and isinstance(other, str):
        shorter = min(len(value), len(other))
        start = next((n for n in range(shorter) if value[n] != other[n]), shorter)
    cut = text[max(0, start - _SHOWN) : start + _SHOWN]
    before, after = "…" if start > _SHOWN else "", "…" if start + _SHOWN < len(text) else ""
    return repr(f"{before}{cut}{after}")


def _whole(path: str) -> re.Pattern[str]:
    """Return the pattern of a path that is not the middle of a longer name."""
    return re.compile(rf"(?<![\w.~}}-]){re.escape(path)}(?![\w-]|\.\w)")


def _blocks(content: Any) -> list[Any]:
    """Return a content as blocks: the agent writes a lone text as itself or as a block, as the cache asks."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else _list(content)


def _without_cache_marks(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_cache_marks(item) for item in value]
    if isinstance(value, Mapping):
        kept = {name: _without_cache_marks(v) for name, v in value.items() if name != "cache_control"}
        if kept.get("type") == "tool_result" and isinstance(kept.get("content"), str):
            kept["content"] = _blocks(kept["content"])
        return kept
    return value


def _tool_name(tool: Any) -> str:
    # The name alone: what an agent says of its tools depends on where it runs.
    return str(tool.get("name")) if isinstance(tool, Mapping) else str(tool)


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else []
