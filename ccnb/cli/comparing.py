"""Compare from the command line: what `compare` does."""

from __future__ import annotations

import math
import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ccnb import render
from ccnb.cli.output import console, print_json, say
from ccnb.comparison.api import compare
from ccnb.comparison.result import Comparison
from ccnb.comparison.summary import grid
from ccnb.errors import SpecError
from ccnb.runner.values import environment, network
from ccnb.spec import TEST_PROMPT

_OURS = (
    "file",
    "prompts",
    "model",
    "axis",
    "concurrency",
    "env",
    "secret_env",
    "timeout",
    "show",
    "as_json",
    "quiet",
    "mode",
)
_INCOMPLETE = 3


def run(given: Mapping[str, Any]) -> int:
    """Compare, or show a comparison that is kept; the exit code is 0 when every row counts."""
    as_json, quiet = given["as_json"], given["quiet"]
    if given["show"]:
        found = Comparison(given["show"])
    else:
        options = _options(given)
        prompts = options.pop("prompts", None)
        tell = _untold if quiet else _say_aside
        found = compare(prompts, on_progress=tell, **options)
    if as_json:
        print_json(_json(found))
    else:
        _print(found)
    rows = found.frame
    return 0 if rows.loc[~rows["warmup"], "counted"].all() else _INCOMPLETE


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `ccnb.compare` takes: the file's values, and over them those of the command line."""
    options = _file(given["file"]) if given["file"] else {}
    options |= {k: v for k, v in given.items() if k not in _OURS and v not in (None, [], False)}
    secret_names = [*options.pop("secret_env", []), *(given["secret_env"] or [])]
    if env := options.get("env", {}) | environment(given["env"] or [], secret_names):
        options["env"] = env
    # The lock has its modes; a default of the environment's is not meant for it.
    if given["mode"] and not (given["lock"] and given["mode"] == os.environ.get("CCNB_MODE")):
        options["modes"] = given["mode"]
    if given["model"]:
        options["models"] = given["model"]
    if given["timeout"] is not None:
        options["timeout_s"] = given["timeout"]
    if given["network"]:
        options["network"] = network(given["network"])
    if given["concurrency"] is not None:
        options["concurrency"] = _at_once(given["concurrency"])
    if given["axis"]:
        options["axes"] = options.get("axes", {}) | dict(map(_axis, given["axis"]))
    prompts = [sys.stdin.read() if prompt == "-" else prompt for prompt in given["prompts"] or []]
    if prompts:
        options["prompts"] = prompts
    elif given["lock"] is None:
        options.setdefault("prompts", TEST_PROMPT)
    return options


def _file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"the matrix {path} can't be read ({error}); name a TOML file") from None
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"the matrix {path} is no TOML: {error}; mend it") from None


def _axis(text: str) -> tuple[str, list[Any]]:
    """Return an axis from `FIELD=LEVEL,LEVEL`; levels are numbers where they look like one."""
    name, equals, levels = text.partition("=")
    if not equals:
        raise SpecError(f"--axis takes FIELD=LEVEL,LEVEL, not {text!r}")
    return name, [_value(level.strip()) for level in levels.split(",") if level.strip()]


def _at_once(text: str) -> int | dict[str, int]:
    """Return how many runs go on at once, or that of each mode, from `COUNT` or `MODE=COUNT,...`."""
    try:
        if "=" not in text:
            return int(text)
        pairs = [part.partition("=") for part in text.split(",") if part.strip()]
        return {mode.strip(): int(count) for mode, _, count in pairs}
    except ValueError:
        raise SpecError(f"--concurrency takes COUNT or MODE=COUNT,MODE=COUNT, not {text!r}") from None


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _print(found: Comparison) -> None:
    out = console()
    out.print(grid(found.summary()))
    out.print()
    out.print(render.harmless(found.text))
    failed = found.failures()
    for row in failed.to_dict("records")[:10]:
        line = (
            f"row {row['number']} ({row['arm']}), attempt {row['attempt']}: {row['outcome']}, {row['error']}"
        )
        say(line, stderr=True)
    if found.lock_file.exists():
        say(f"run the same again: `ccnb compare --lock {found.lock_file}`")
    say(f"kept as {found.name}: `ccnb compare --show {found.name}`")


def _json(found: Comparison) -> dict[str, Any]:
    return {
        "name": found.name,
        "seed": found.seed,
        "stopped": found.stopped,
        "warnings": list(found.warnings),
        "text": found.text,
        "summary": _records(found.summary().to_dict("records")),
        "contrasts": _records([asdict(one) | {"text": str(one)} for one in found.contrasts()]),
        "rows": _records(found.frame.astype(object).to_dict("records")),
        "failures": _records(found.failures().to_dict("records")),
    }


def _records(rows: Sequence[Mapping[Any, Any]]) -> list[dict[str, Any]]:
    return [{str(name): _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: no NaN, none of pandas' own words for what is missing."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool) else None if str(value) in _MISSING else str(value)


_MISSING = ("<NA>", "NaT", "None", "nan")


def _say_aside(line: str) -> None:
    say(line, stderr=True)


def _untold(line: str) -> None:
    """Keep a line to ourselves."""
