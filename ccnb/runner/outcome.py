"""How a run ended: the outcome and the error, from everything that is known.

Neither the result's subtype nor the exit code is enough by itself: an API that refused is
`subtype: "success"` with `is_error`, an interrupt exits with 0, a denied tool is no error at all
(observed with Claude Code 2.1.330).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ccnb.results import ErrorInfo
from ccnb.stream import Tally

NEXT_ACTIONS = {
    "authentication_failed": "check the credential, or run `claude setup-token` for a new one",
    "not_logged_in": "run `claude setup-token` and set CLAUDE_CODE_OAUTH_TOKEN, or use --api script:demo",
    "billing_error": "look at the account's billing",
    "rate_limit": "wait, or run fewer at once",
    "overloaded": "try again later",
    "server_error": "try again later",
    "model_not_found": "name a model that the account can use",
    "invalid_request": "look at the last events of the run",
    "out_of_memory": "give the place more with memory_mb",
    "agent_missing": "use the project's own image, or run `ccnb doctor`",
    "root_refused": "run as a user other than root",
    "setup_failed": "mend the set-up command",
    "place_lost": "run it again",
    "check_prevented": "look at what the agent did: nothing else ended the run before its check",
    "wedged": "run it again, or raise stall_s",
    "timeout": "raise timeout_s, or ask for less",
    "max_turns": "raise max_turns",
    "budget": "raise budget_usd",
    "budget_tokens": "raise budget_tokens",
    "not_recorded": "record it anew with api='record:FILE', or ask for what was recorded",
    "no_credential": "attach to a run where its credential can be found",
}

ACTIONS_FOR_DOCKERS_PROXY = {
    "authentication_failed": "renew what Docker's proxy adds (by `sbx secret set anthropic`, or in the "
    "start-up file of your shell), or pass your own with auth='env'",
    "billing_error": "look at the account's billing; a subscription's login in a sandbox is known to be told "
    "this without cause (docker/desktop-feedback#198): then use auth='env'",
    "not_logged_in": "store a credential for Docker's proxy (`ccnb doctor` says how), or pass your own with "
    "auth='env'",
}
"""The same, where a proxy of Docker's adds the credential, and no variable of the person's does."""

_KIND_BY_STATUS = {
    401: "authentication_failed",
    403: "authentication_failed",
    404: "model_not_found",
    429: "rate_limit",
    529: "overloaded",
}

_KIND_UNCHECKED = {"lost": "place_lost", "agent_error": "check_prevented"}

_STOPPED = ("timeout", "cancelled", "wedged", "refused")
"""Ends that we brought about: an agent's word that it was interrupted adds nothing to them."""

_SPENT = ("budget", "budget_tokens")
"""Words with which the gateway refuses a call because a budget is used up."""


@dataclass(frozen=True)
class Ending:
    """What the place says of the agent's end."""

    exit_code: int | None = None
    """`None` when the place vanished before it could tell."""
    reason: str = "exit"
    """`exit`, `timeout`, `cancelled`, `wedged`, `refused` (the API), `after_result` (a hang)."""
    stderr: str = ""
    """The end of the agent's standard error, redacted."""
    setup_code: int = 0
    setup_output: str = ""
    """The end of what the set-up command printed, redacted."""
    out_of_memory: bool = False
    detail: str = ""
    """What the engine says of a place that vanished."""
    unchecked: str | None = None
    """Why a check that was asked for was never done: the outcome that this is."""
    refused: str | None = None
    """Why the gateway itself refused the last call, in a word: `budget`, `not_recorded`, ..."""
    fetched: bool = True
    """Whether what the place had at its end could be brought back, all output included."""
    injected: bool = False
    """Whether it was a proxy of Docker's that was to add the credential."""


def judge(tally: Tally, ending: Ending) -> tuple[str, ErrorInfo | None]:
    """Return the outcome and, unless it is success, the error."""
    outcome, cause = _judge(tally, ending)
    if cause is not None and ending.injected and cause.kind in ACTIONS_FOR_DOCKERS_PROXY:
        cause = replace(cause, next_action=ACTIONS_FOR_DOCKERS_PROXY[cause.kind])
    return outcome, cause


def _judge(tally: Tally, ending: Ending) -> tuple[str, ErrorInfo | None]:
    if ending.setup_code and ending.reason == "exit":
        said = _last_line(ending.setup_output)
        return "infrastructure", error(
            "setup_failed", f"the set-up command ended with {ending.setup_code}{said}"
        )
    if tally.result is None or tally.result.raw.get("startup_failure_reason") == "bypass_root":
        return _without_result(tally, ending)
    outcome, cause = _with_result(tally, ending, tally.result.raw)
    if outcome == "success" and ending.unchecked:
        kind = {"lost": "place_lost", "agent_error": "check_prevented"}.get(
            ending.unchecked, ending.unchecked
        )
        return ending.unchecked, error(kind, "the agent had ended well, and its check was never done")
    return outcome, cause


def error(kind: str, message: str, api_status: int | None = None) -> ErrorInfo:
    """Return an error with the next action that its kind asks for."""
    return ErrorInfo(kind, message, NEXT_ACTIONS.get(kind, ""), api_status)


def _without_result(  # noqa: PLR0911 - a return for each outcome
    tally: Tally, ending: Ending
) -> tuple[str, ErrorInfo | None]:
    match ending.reason:
        case "timeout":
            return "timeout", error("timeout", "the agent did not end within its time limit")
        case "cancelled":
            return "cancelled", error("cancelled", "the run was cancelled")
        case "wedged":
            return "wedged", error("wedged", "the agent fell silent")
        case "refused":
            status = tally.retry_status
            return "infrastructure", error(
                "authentication_failed", f"the API refused the credential ({status})", status
            )
    if ending.out_of_memory:
        return "agent_error", error("out_of_memory", "the place ran out of memory")
    if ending.exit_code is None:
        detail = f": {ending.detail}" if ending.detail else ""
        return "lost", error("place_lost", f"the place vanished before the agent had ended{detail}")
    if not ending.fetched:
        return "lost", error("place_lost", "the place vanished before all that the agent said was read")
    return _crashed(ending, ending.exit_code)


def _crashed(ending: Ending, code: int) -> tuple[str, ErrorInfo]:
    said = _last_line(ending.stderr)
    if code in (126, 127):
        return "infrastructure", error("agent_missing", f"no claude could be run in the place{said}")
    if "cannot be used with root" in ending.stderr:
        return "infrastructure", error("root_refused", f"the agent refused to start{said}")
    return "agent_error", error("crashed", f"the agent ended with {code} and gave no result{said}")


def _last_line(text: str) -> str:
    """Return the last line that says something, as the end of a sentence."""
    last = next((line for line in reversed(text.splitlines()) if line.strip()), "")
    return f": {last.strip()}" if last else ""


def _with_result(  # noqa: PLR0911 - a return for each outcome
    tally: Tally, ending: Ending, raw: Any
) -> tuple[str, ErrorInfo | None]:
    subtype, terminal = raw.get("subtype"), raw.get("terminal_reason")
    message = _message(raw)
    if subtype == "error_max_turns" or terminal == "max_turns":
        return "max_turns", error("max_turns", message or "the agent used up its turns")
    if subtype == "error_max_budget_usd" or terminal == "budget_exhausted":
        return "budget", error("budget", message or "the agent used up its budget")
    if _refused_by_api(raw):
        if ending.refused in _SPENT:
            return "budget", error(ending.refused, message)
        return "infrastructure", _api_error(tally, ending, raw, message)
    if ending.reason in _STOPPED and (subtype != "success" or raw.get("is_error")):
        return _without_result(tally, ending)
    if subtype != "success" or raw.get("is_error"):
        return "agent_error", error(str(terminal or subtype), message or "the agent reports an error")
    if ending.reason == "exit" and ending.exit_code:
        return "agent_error", error("exit_code", f"the agent ended with {ending.exit_code} after its result")
    return "success", None


def _refused_by_api(raw: Any) -> bool:
    if raw.get("terminal_reason") == "api_error" or raw.get("api_error_status"):
        return bool(raw.get("is_error"))
    # Older agents name no terminal reason: an error called success is the API's.
    return bool(raw.get("is_error")) and raw.get("subtype") == "success" and "terminal_reason" not in raw


def _api_error(tally: Tally, ending: Ending, raw: Any, message: str) -> ErrorInfo:
    status = raw.get("api_error_status")
    status = status if isinstance(status, int) else None
    kind = ending.refused or tally.api_error or _KIND_BY_STATUS.get(status or 0, "api_error")
    if status is None and "Not logged in" in message:
        kind = "not_logged_in"
    return error(kind, message or f"the API answered {status}", status)


def _message(raw: Any) -> str:
    errors = raw.get("errors")
    if isinstance(errors, list) and errors:
        return "; ".join(str(e) for e in errors)
    return str(raw.get("result") or "")
