"""Start runs and attach to them: what `run` and `attach` do."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.text import Text

from ccnb import render
from ccnb.cli.live import View
from ccnb.cli.output import complain, console, exit_code, leave, print_json, result_json, say
from ccnb.errors import CcnbError
from ccnb.runner import api
from ccnb.runner.handles import Run, RunResult
from ccnb.runner.values import check_together, environment, mode_names, network
from ccnb.spec import TEST_PROMPT
from ccnb.store import Store

_CLEAN_UP_LIMIT_S = 15.0
_OUR_OPTIONS = ("prompt", "mode", "env", "secret_env", "timeout", "background", "as_json", "quiet")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be run, and how it is shown."""

    prompt: str
    modes: Sequence[str]
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of `ccnb.start`, without the mode."""
    background: bool = False
    as_json: bool = False
    quiet: bool = False

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Request:
        """Make it from the options of `ccnb run`.

        Raises
        ------
        SpecError
        """
        options = {k: v for k, v in given.items() if k not in _OUR_OPTIONS and v not in (None, [])}
        options["env"] = environment(given["env"] or [], given["secret_env"] or [])
        if given["timeout"] is not None:
            options["timeout_s"] = given["timeout"]
        if given["network"]:
            options["network"] = network(given["network"])
        modes = mode_names(given["mode"])
        check_together(modes, workspace=given["workspace"], copy=given["copy"])
        return cls(
            prompt=_prompt_of(given["prompt"]),
            modes=modes,
            options=options,
            background=given["background"],
            as_json=given["as_json"],
            quiet=given["quiet"],
        )


def run(request: Request) -> int:
    """Run in each mode, one after the other; return the first exit code that isn't 0."""
    if request.background:
        leave(max(_leave_running(request, mode) for mode in request.modes))
    results: list[RunResult] = []
    codes: list[int] = []
    for mode in request.modes:
        result, code = _run_one(request, mode)
        results += [result] if result else []
        codes.append(code)
    if len(results) > 1 and not request.as_json and not request.quiet:
        _print_comparison(results)
    return next((code for code in codes if code), 0)


def attach(run_id: str, *, cancel: bool, as_json: bool, quiet: bool) -> int:
    """Follow a run from its first event to its result; Ctrl-C leaves it going on."""
    row = Store().run(run_id)
    handle = api.attach(row.run_id)
    view = _view(as_json=as_json, quiet=quiet, begun_at=row.created_at.timestamp())
    if cancel:
        return _end(handle, view, as_json=as_json, quiet=quiet)
    try:
        result = view.watch(handle)
    except KeyboardInterrupt:
        again = f"`ccnb attach {row.run_id}` follows it again, with --cancel it ends it"
        say(f"run {row.run_id} goes on; {again}", stderr=True)
        leave(130)
    return _show_result(result, as_json=as_json, quiet=quiet)


def _end(handle: Run, view: View, *, as_json: bool, quiet: bool) -> int:
    # Only what is followed again from its output on can tell how far the agent got.
    view.wait_until_running(handle)
    handle.cancel()
    result = view.follow(handle)
    code = _show_result(result, as_json=as_json, quiet=quiet)
    return 0 if result.outcome == "cancelled" else code


def _prompt_of(given: str | None) -> str:
    """Return the prompt: the built-in one for none, standard input for `-`."""
    if given is None:
        return TEST_PROMPT
    return sys.stdin.read() if given == "-" else given


def _run_one(request: Request, mode: str) -> tuple[RunResult | None, int]:
    """Run in one mode. What fails once it has begun is said, and the next mode is still tried."""
    view = _view(as_json=request.as_json, quiet=request.quiet)
    if len(request.modes) > 1 and not request.quiet:
        console(stderr=request.as_json).print(Text(f"\n{mode}", "bold"))
    handle = api.start(request.prompt, mode=mode, on_progress=view.say, **request.options)
    try:
        result = view.follow(handle)
    except KeyboardInterrupt:
        _say_what_is_kept(handle)
        raise
    except CcnbError as error:
        code = complain(error)
        stored = _stored(handle)
        if stored and request.as_json:
            print_json(result_json(stored))
        return stored, code
    if len(request.modes) == 1 or request.as_json or request.quiet:
        return result, _show_result(result, as_json=request.as_json, quiet=request.quiet)
    _show_verdict(result)
    # The removal goes on behind the result; it must not take time from the next mode.
    return _with_clean_up(result), exit_code(result)


def _leave_running(request: Request, mode: str) -> int:
    """Start a run and wait until its agent runs, so that it goes on without us."""
    view = _view(as_json=True, quiet=request.quiet)
    handle = api.start(request.prompt, mode=mode, on_progress=view.say, **request.options)
    try:
        view.wait_until_running(handle)
    except KeyboardInterrupt:
        handle.cancel()
        view.follow(handle)
        raise
    code = exit_code(handle.result()) if handle.done else 0
    mode = Store().run(handle.run_id).mode
    if request.as_json:
        print_json({"run_id": handle.run_id, "mode": mode, "state": handle.state})
    else:
        say(handle.run_id)
    if not request.quiet:
        say(f"running in {mode}; `ccnb attach {handle.run_id}` follows it", stderr=True)
    return code


def _show_result(result: RunResult, *, as_json: bool, quiet: bool) -> int:
    if as_json:
        print_json(result_json(result))
    elif quiet:
        console().print(render.harmless(result.text), soft_wrap=True)
    else:
        console().print(render.summary(result, kept_in=str(result.folder.path)))
        if result.spec.keep:
            say(f"its place is kept: `ccnb shell {result.run_id}`")
    return exit_code(result)


def _show_verdict(result: RunResult) -> None:
    """Say how a run ended whose details will stand in the comparison."""
    console().print(render.verdict(result))
    for text in [*([str(result.error)] if result.error else []), *result.warnings]:
        say(text)


def _print_comparison(results: Sequence[RunResult]) -> None:
    out = console()
    out.print()
    out.print(render.comparison(results, "side by side"))
    say(f"The runs are kept in {results[0].folder.path.parent}; look at one with:")
    for result in results:
        out.print(f"  ccnb show {result.run_id}", soft_wrap=True)
    say(f"One run of each says little: `ccnb compare --mode {','.join(r.mode for r in results)} -n 8`")


def _say_what_is_kept(handle: Run) -> None:
    folder = Store().folder(handle.run_id).path
    if handle.done:
        say(f"run {handle.run_id} was stopped; what it did is kept in {folder}", stderr=True)
    else:
        ending = f"`ccnb attach --cancel {handle.run_id}` ends it"
        say(f"run {handle.run_id} may still go on; {ending} (it is kept in {folder})", stderr=True)


def _stored(handle: Run) -> RunResult | None:
    row = Store().run(handle.run_id)
    return api.result_of(row) if row.record else None


def _with_clean_up(result: RunResult) -> RunResult:
    """Wait until the run's place is gone; return the result with the time that took."""
    store = Store()
    until = time.monotonic() + _CLEAN_UP_LIMIT_S
    while time.monotonic() < until:
        # Asked first: how long its removal took is written down before it is.
        is_gone = store.place(result.run_id) is None
        row = store.run(result.run_id)
        if row.record and (row.record.timings.cleanup_s is not None or is_gone):
            return api.result_of(row)
        if result.spec.keep:
            break
        time.sleep(0.05)
    return result


def _view(*, as_json: bool, quiet: bool, begun_at: float | None = None) -> View:
    return View(console(stderr=as_json), quiet=quiet, begun_at=begun_at)
