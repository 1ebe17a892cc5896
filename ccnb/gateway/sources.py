"""Sources: what answers an agent's call. Here their shape, and the script; others are `forward`, `replay`."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Protocol

from ccnb.gateway import messages
from ccnb.gateway.messages import Answer, Block, Text, Thinking, ToolUse, Usage, rough_tokens
from ccnb.gateway.script import Script, Turn

_ENDED = "The script has ended: it has no more turns."
_ASIDE = "Done."


class StreamCutError(Exception):
    """The answer breaks off here: the connection is to be closed without an end."""


@dataclass(frozen=True)
class Call:
    """What an agent asks."""

    body: Mapping[str, Any]
    raw: bytes = b""
    """The body as it came."""
    target: str = "/v1/messages"
    """Path and query."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_message(self) -> bool:
        """Whether the model is asked; else its tokens are only counted, which costs nothing."""
        return "/count_tokens" not in self.target


@dataclass
class Reply:
    """One answer to a call, its bytes still to come."""

    status: int
    headers: Mapping[str, str]
    body: AsyncGenerator[bytes, None]
    turn: int | None = None
    """The script's turn."""
    refused: str | None = None
    """Why the gateway itself refuses, in a word."""


class Source(Protocol):
    """Answers the calls of one run."""

    async def answer(self, call: Call) -> Reply:
        """Answer one Messages request."""
        ...


def has_tools(body: Mapping[str, Any]) -> bool:
    """Whether a call belongs to the agent's conversation: its side calls (a title, say) carry no tools."""
    return bool(body.get("tools"))


def turn_of(conversation: Sequence[Any], turns: Sequence[Turn]) -> int:
    """Return how many turns the conversation has had; neighbouring assistant messages are one.

    The last message says nothing: a `system` message may follow a tool's result. An answer without the tools
    that its turn uses was cut off (the agent keeps what blocks were whole), so that turn is still to come.
    """
    number = 0
    for role, group in groupby(conversation, _role):
        if role == "assistant":
            asks = number < len(turns) and bool(turns[number].tools)
            number += not asks or any(map(_uses_tools, group))
    return number


def _role(message: object) -> object:
    return message.get("role") if isinstance(message, Mapping) else None


def _uses_tools(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    blocks = content if isinstance(content, list) else []
    return any(isinstance(block, Mapping) and block.get("type") == "tool_use" for block in blocks)


def conversation_text(body: Mapping[str, Any]) -> str:
    """Return what the person, the model and the tools said, without the agent's own additions."""
    return "\n".join(text for message in body.get("messages") or () for text in _texts(message))


class ScriptSource:
    """Answers the calls of one run from a script, deciding by the whole conversation."""

    def __init__(self, script: Script, run_id: str, workspace: str) -> None:
        self._script = script
        self._run_id = run_id
        self._workspace = workspace
        self._failures: Counter[tuple[str, int]] = Counter()

    async def answer(self, call: Call) -> Reply:
        """Answer with the turn that the conversation has come to."""
        body = call.body
        if not call.is_message:
            return count_reply(body)
        if not has_tools(body):
            return self._reply(body, Turn(say=_ASIDE), None)
        number = turn_of(body["messages"], self._script.turns)
        if number >= len(self._script.turns):
            return self._reply(body, Turn(say=_ENDED), number)
        turn = self._script.turns[number]
        if turn.error is not None and self._fails("error", number, turn.times):
            return _error(turn, turn.error, number)
        # The agent streams again after a cut, ten times by default: cut for good, it would take minutes.
        cuts = turn.times if turn.error is None else 1
        cut = turn.cut and body.get("stream") is True and self._fails("cut", number, cuts)
        return self._reply(body, turn, number, cut=cut)

    def _fails(self, how: str, number: int, times: int | None) -> bool:
        """Whether a turn goes wrong once more, having done so less than `times` until now."""
        if times is not None and self._failures[how, number] >= times:
            return False
        self._failures[how, number] += 1
        return True

    def _reply(self, body: Mapping[str, Any], turn: Turn, number: int | None, *, cut: bool = False) -> Reply:
        answer = self._message(body, turn, number, cut)
        headers = {"request-id": new_request_id()}
        if body.get("stream") is True:
            chunks = list(messages.to_sse(answer))
            if cut:
                chunks = _broken_off(chunks)
            return Reply(200, {**messages.SSE_HEADERS, **headers}, _paced(chunks, turn, cut), number)
        whole = messages.to_json(answer)
        return Reply(200, {**messages.JSON_HEADERS, **headers}, _paced([whole], turn, False), number)

    def _message(self, body: Mapping[str, Any], turn: Turn, number: int | None, cut: bool) -> Answer:
        blocks = tuple(self._blocks(turn, number))
        text = conversation_text(body).replace(self._workspace, "$CWD")
        input_tokens = rough_tokens(text) if turn.tokens.input is None else turn.tokens.input
        output_tokens = _spoken_tokens(turn) if turn.tokens.output is None else turn.tokens.output
        # A repeat is another message: who counts usage once for each id would miss it.
        attempt = text if number is None else (cut, self._failures["cut", number], body.get("stream") is True)
        return Answer(
            f"msg_{_digest(self._run_id, number, attempt)}",
            str(body["model"]),
            blocks,
            Usage(input_tokens, output_tokens),
        )

    def _blocks(self, turn: Turn, number: int | None) -> Iterator[Block]:
        if turn.think is not None:
            yield Thinking(self._place(turn.think))
        if turn.say is not None:
            yield Text(self._place(turn.say))
        for index, call in enumerate(turn.tools):
            id_ = f"toolu_{_digest(self._run_id, number, index)}"
            input_ = {name: self._place_in(value) for name, value in call.input.items()}
            yield ToolUse(id_, call.name, input_)

    def _place(self, text: str) -> str:
        """Put the run's workspace path wherever the script says `$CWD`."""
        return text.replace("$CWD", self._workspace)

    def _place_in(self, value: object) -> object:
        if isinstance(value, str):
            return self._place(value)
        if isinstance(value, Mapping):
            return {name: self._place_in(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._place_in(item) for item in value]
        return value


def new_request_id() -> str:
    """Return a fresh id for the `request-id` header."""
    return f"req_{secrets.token_hex(12)}"


def error_reply(
    status: int,
    message: str,
    *,
    retry_after_s: float | None = None,
    wait_s: float = 0,
    refused: str | None = None,
) -> Reply:
    """Return an error in the API's own shape."""
    request_id = new_request_id()
    chunks = [messages.error_body(status, message, request_id)]
    headers = messages.error_headers(request_id, retry_after_s)
    return Reply(status, headers, _paced(chunks, Turn(wait_s=wait_s), False), refused=refused)


def count_reply(body: Mapping[str, Any]) -> Reply:
    """Return an estimate for a call that only wants its tokens counted."""
    content = json.dumps({"input_tokens": rough_tokens(conversation_text(body))}).encode()
    return Reply(200, messages.JSON_HEADERS, _paced([content], Turn(), False))


def _error(turn: Turn, status: int, number: int) -> Reply:
    text = f"the script answers {status} here"
    reply = error_reply(status, text, retry_after_s=turn.retry_after_s, wait_s=turn.wait_s)
    reply.turn = number
    return reply


def _broken_off(chunks: list[bytes]) -> list[bytes]:
    """Return a stream up to the middle of its first block.

    The agent would keep a whole block and ask for what is missing in a message of its own.
    """
    start, end = (
        next(index for index, chunk in enumerate(chunks) if chunk.startswith(f"event: {name}".encode()))
        for name in ("content_block_start", "content_block_stop")
    )
    return chunks[: (start + end) // 2 + 1]


async def _paced(chunks: Iterable[bytes], turn: Turn, cut: bool) -> AsyncGenerator[bytes, None]:
    await asyncio.sleep(turn.wait_s)
    for index, chunk in enumerate(chunks):
        if index and turn.pace_s:
            await asyncio.sleep(turn.pace_s)
        yield chunk
    if cut:
        raise StreamCutError


def _spoken_tokens(turn: Turn) -> int:
    """Estimate a turn's tokens before `$CWD` is replaced: the same in every mode."""
    calls = [f"{call.name} {json.dumps(call.input)}" for call in turn.tools]
    return rough_tokens("\n".join([turn.think or "", turn.say or "", *calls]))


def _texts(message: object) -> Iterator[str]:
    if not isinstance(message, Mapping) or message.get("role") == "system":
        return
    content = message.get("content")
    for block in content if isinstance(content, list) else [content]:
        text = _block_text(block)
        if not text.startswith("<system-reminder>"):
            yield text


def _block_text(block: object) -> str:
    if not isinstance(block, Mapping):
        return str(block or "")
    match block.get("type"):
        case "text":
            return str(block.get("text", ""))
        case "tool_use":
            return f"{block.get('name')} {json.dumps(block.get('input'))}"
        case "tool_result":
            inner = block.get("content")
            return "\n".join(map(_block_text, inner)) if isinstance(inner, list) else str(inner or "")
    return ""


def _digest(*parts: object) -> str:
    return hashlib.sha256("/".join(map(str, parts)).encode(errors="replace")).hexdigest()[:24]
