"""Scripts: small YAML files that say what the model answers, turn by turn."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

import yaml

from ccnb.errors import ScriptError, did_you_mean

SHIPPED = Path(__file__).parent.parent / "data" / "scripts"
"""The folder of the scripts that come with ccnb."""

_DEEPEST = 64


@dataclass(frozen=True)
class ToolCall:
    """One use of a tool that the model asks for."""

    name: str
    input: Mapping[str, Any]


@dataclass(frozen=True)
class Tokens:
    """The usage that a turn claims; None where it is to be estimated."""

    input: int | None = None
    output: int | None = None


@dataclass(frozen=True)
class Turn:
    """One answer of the scripted model, and how it is delivered."""

    say: str | None = None
    tools: tuple[ToolCall, ...] = ()
    think: str | None = None
    error: int | None = None
    """HTTP status that is answered first."""
    times: int | None = 1
    """How often the turn goes wrong by `error` (else by `cut`) before its real answer; None: always."""
    retry_after_s: float | None = None
    cut: bool = False
    """Whether a stream breaks off in its first block; a call that does not stream is answered whole."""
    wait_s: float = 0.0
    """Seconds before the first byte."""
    pace_s: float = 0.0
    """Seconds between two chunks of a stream."""
    tokens: Tokens = field(default_factory=Tokens)

    @property
    def answers(self) -> bool:
        """Whether the turn holds more than an error."""
        return self.say is not None or bool(self.tools)


@dataclass(frozen=True)
class Script:
    """The turns of one conversation, its resumed parts included."""

    name: str
    turns: tuple[Turn, ...]


def load_script(name_or_path: str | Path) -> Script:
    """Read a shipped script by its bare name, or a file by its path.

    Raises
    ------
    ScriptError
        There is no such script, or it has a mistake; the message names the file and the line.
    """
    path = _find(name_or_path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ScriptError(f"{path.name}: the file is not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise ScriptError(f"can't read the script {path}: {error.strerror}; check the path") from None
    return parse_script(text, path.name)


@lru_cache(maxsize=32)  # read when a run is checked, when it is registered, and at its first call
def parse_script(text: str, file: str) -> Script:
    """Build a script from YAML text; `file` is the name that stands in messages.

    Raises
    ------
    ScriptError
        The text is no YAML or no script.
    """
    root = _compose(text, file)
    reader = _Reader(file)
    if root is None:
        raise ScriptError(f"{file}, line 1: the script is empty; write one '- say: ...' for each turn")
    turns = tuple(reader.turn(node) for node in reader.items(root, "a script"))
    if not turns:
        reader.fail(root, "the script has no turns; write one '- say: ...' for each")
    return Script(file.removesuffix(".yml").removesuffix(".yaml"), turns)


def shipped_scripts() -> list[str]:
    """Return the names of the scripts that come with ccnb."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def is_shipped_name(name_or_path: str | Path) -> bool:
    """Whether this is written as a bare name rather than as a file's path."""
    text = str(name_or_path)
    return isinstance(name_or_path, str) and "/" not in text and not text.endswith((".yaml", ".yml"))


def _find(name_or_path: str | Path) -> Path:
    if not is_shipped_name(name_or_path):
        return Path(name_or_path).expanduser()
    name, known = str(name_or_path), shipped_scripts()
    if name in known:
        return SHIPPED / f"{name}.yaml"
    hint = did_you_mean(name, known) or "; a file's path needs a '/' or the ending .yaml"
    raise ScriptError(f"no script is named '{name}' (shipped: {', '.join(known)}){hint}")


def _compose(text: str, file: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ScriptError(f"{file}, line {line}: {error.problem or error.context}; mend the YAML") from None
    except (RecursionError, ValueError):
        raise ScriptError(f"{file}: nested too deeply, or an escape of no character; simplify it") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ScriptError(f"{file}, line {line}: a character that YAML forbids; remove it") from None


class _Reader:
    """Turns nodes into values; every complaint carries the node's line."""

    def __init__(self, file: str) -> None:
        self.file = file

    def fail(self, node: yaml.Node, problem: str) -> NoReturn:
        raise ScriptError(f"{self.file}, line {node.start_mark.line + 1}: {problem}")

    def turn(self, node: yaml.Node) -> Turn:
        if isinstance(node, yaml.ScalarNode):
            return Turn(say=self.text(node, "a turn"))
        values: dict[str, Any] = {}
        for key, key_node, value in self.pairs(node, "a turn", _TURN_KEYS):
            name, read = _TURN_KEYS[key]
            values[name] = read(self, value, f"'{key}'")
            if key in _BELONGS and not any(self.has(node, other) for other in _BELONGS[key]):
                others = " or ".join(f"'{other}'" for other in _BELONGS[key])
                self.fail(key_node, f"'{key}' belongs to {others}, which this turn lacks; add it")
        turn = Turn(**values)
        if turn.answers:
            return turn
        self.check_unanswered(node, turn, "times" in values)
        return replace(turn, times=None)

    def check_unanswered(self, node: yaml.Node, turn: Turn, ends: bool) -> None:
        if turn.error is None:
            self.fail(node, "the turn answers nothing; give it 'say', 'tools' or 'error'")
        if ends:
            self.fail(node, "the error ends after 'times', and then nothing answers; add 'say' or 'tools'")
        if turn.cut or turn.think is not None:
            self.fail(node, "the turn is only an error, nothing of it can be cut or thought; add 'say'")

    def has(self, node: yaml.Node, key: str) -> bool:
        return any(name.value == key for name, _ in node.value)

    def items(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            self.fail(node, f"{what} is a list, each item on a line that starts with '- '")
        return list(node.value)

    def pairs(
        self, node: yaml.Node, what: str, known: Mapping[str, Any] | None = None
    ) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            self.fail(node, f"{what} is written as 'name: value' pairs")
        seen: set[str] = set()
        for key, value in node.value:
            name = self.text(key, f"a name in {what}")
            if known is not None and name not in known:
                hint = did_you_mean(name, known) or f"; the keys are {', '.join(known)}"
                self.fail(key, f"unknown key '{name}' in {what}{hint}")
            if name in seen:
                self.fail(key, f"'{name}' stands twice in {what}; remove one")
            seen.add(name)
            yield name, key, value

    def tools(self, node: yaml.Node, what: str) -> tuple[ToolCall, ...]:
        calls = tuple(self.tool(item) for item in self.items(node, what))
        if not calls:
            self.fail(node, f"{what} is empty; name a tool or leave the key out")
        return calls

    def tool(self, node: yaml.Node) -> ToolCall:
        pairs = list(self.pairs(node, "a tool call"))
        if len(pairs) != 1:
            self.fail(node, "a tool call is one name and its input, as in '- Bash: {command: ls}'")
        name, _, value = pairs[0]
        if not isinstance(value, yaml.MappingNode):
            self.fail(value, f"the input of {name} is written as 'name: value' pairs, as in {{command: ls}}")
        return ToolCall(name, self.mapping(value, 0))

    def tokens(self, node: yaml.Node, what: str) -> Tokens:
        pairs = self.pairs(node, what, {"input": 0, "output": 0})
        return Tokens(**{name: self.count(value, f"'{name}'") for name, _, value in pairs})

    def text(self, node: yaml.Node, what: str) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self.fail(node, f"{what} is a text; put it in quotes, or after '|' on lines of its own")
        if node.tag == "tag:yaml.org,2002:null" or not node.value:
            self.fail(node, f"{what} is empty; write its text")
        return str(node.value)

    def scalar(self, node: yaml.Node) -> object:
        return _plain(node) if isinstance(node, yaml.ScalarNode) else None

    def number(self, node: yaml.Node, what: str) -> float:
        value = self.scalar(node)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            self.fail(node, f"{what} is a number of seconds, 0 or more, not '{_shown(node)}'")
        return float(value)

    def count(self, node: yaml.Node, what: str) -> int:
        value = self.scalar(node)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self.fail(node, f"{what} is a whole number, 0 or more, not '{_shown(node)}'")
        return value

    def status(self, node: yaml.Node, what: str) -> int:
        value = self.scalar(node)
        if isinstance(value, bool) or not isinstance(value, int) or not 400 <= value <= 599:
            self.fail(node, f"{what} is an HTTP status from 400 to 599, such as 529, not '{_shown(node)}'")
        return value

    def flag(self, node: yaml.Node, what: str) -> bool:
        value = self.scalar(node)
        if not isinstance(value, bool):
            self.fail(node, f"{what} is true or false, not '{_shown(node)}'")
        return value

    def mapping(self, node: yaml.Node, depth: int) -> dict[str, object]:
        pairs = self.pairs(node, "a tool's input")
        return {name: self.value(item, depth + 1) for name, _, item in pairs}

    def value(self, node: yaml.Node, depth: int) -> object:
        if depth > _DEEPEST:
            self.fail(node, f"nested deeper than {_DEEPEST} levels; does an alias hold itself?")
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, depth + 1) for item in node.value]
        return self.scalar(node)


def _plain(node: yaml.ScalarNode) -> object:
    """Read an unquoted value as JSON does; all else is text.

    YAML 1.1 would make a bool of `no`, a date of 2026-01-02 and 90 of 1:30, none of which a tool expects.
    """
    if node.style is not None or node.tag == "tag:yaml.org,2002:str":
        return node.value
    word = node.value.lower()
    if word in {"", "~"}:
        return None
    try:
        value: object = json.loads(word)
    except ValueError:
        return node.value
    return node.value if isinstance(value, float) and not math.isfinite(value) else value


def _shown(node: yaml.Node) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else "a list or mapping"


_BELONGS = {"times": ("error", "cut"), "retry_after": ("error",)}

_TURN_KEYS: dict[str, tuple[str, Callable[[_Reader, yaml.Node, str], Any]]] = {
    "say": ("say", _Reader.text),
    "tools": ("tools", _Reader.tools),
    "think": ("think", _Reader.text),
    "error": ("error", _Reader.status),
    "times": ("times", _Reader.count),
    "retry_after": ("retry_after_s", _Reader.number),
    "cut": ("cut", _Reader.flag),
    "wait": ("wait_s", _Reader.number),
    "pace": ("pace_s", _Reader.number),
    "tokens": ("tokens", _Reader.tokens),
}
