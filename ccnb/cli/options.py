"""The options of the commands, each with its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

_WHERE, _AGENT, _LIMITS, _SHOWN = "Where it runs", "What the agent gets", "Limits", "What is shown"


def _option(panel: str, text: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel, show_default=False, **more)


Prompt = Annotated[
    str | None,
    typer.Argument(
        help="What to ask of the agent; - reads it from standard input. Without one: a small test prompt.",
        show_default=False,
    ),
]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id, or a part of it that only one has.")]

Mode = Annotated[
    str,
    _option(
        _WHERE,
        "auto (the strongest that is ready), sandbox, docker, podman, local, fly, all, or a list such as "
        "docker,podman.",
        "--mode",
        "-m",
        envvar="CCNB_MODE",
    ),
]
Workspace = Annotated[
    str | None,
    _option(
        _WHERE,
        "The folder to work in; without one, a fresh one that is kept.",
        "--workspace",
        "-w",
        metavar="DIR",
    ),
]
Copy = Annotated[bool, _option(_WHERE, "Work on a copy of the workspace.", "--copy")]
Api = Annotated[
    str,
    _option(
        _WHERE,
        "live, script:NAME-or-FILE for the scripted model, record:FILE or replay:FILE for a cassette.",
        "--api",
        metavar="SOURCE",
    ),
]
Auth = Annotated[
    str | None,
    _option(
        _WHERE,
        "env: the credential is in the place; gateway: it never is, the gateway adds it outside; "
        "host: nor is it in a sandbox, whose own proxy adds it; secret: a secret of the app (mode fly).",
        "--auth",
        metavar="env|gateway|host|secret",
    ),
]
Network = Annotated[
    list[str] | None,
    _option(
        _WHERE,
        "open; none: no way out of the place; or the only hosts that can be reached, such as "
        "api.example.org, *.example.org or host:8443. Repeat it for more.",
        "--network",
        metavar="open|none|HOST[,HOST...]",
    ),
]
Image = Annotated[str | None, _option(_WHERE, "A container image instead of the project's own.", "--image")]
Isolation = Annotated[
    str | None,
    _option(
        _WHERE,
        "none lets mode local run a real model in a plain process.",
        "--isolation",
        metavar="auto|none",
    ),
]
Sandbox = Annotated[
    str | None,
    _option(
        _WHERE,
        "A lasting sandbox by its name, made when it isn't there: what one run installs, the next finds.",
        "--sandbox",
        metavar="NAME",
    ),
]
Keep = Annotated[bool, _option(_WHERE, "Leave the place there at the end, for `ccnb shell`.", "--keep")]
KeepS = Annotated[
    float | None,
    _option(
        _WHERE,
        "How long a place waits for one who collects its results; a day if not given.",
        "--keep-s",
        metavar="SECONDS",
    ),
]
PushTo = Annotated[
    str | None,
    _option(
        _WHERE,
        "Where a machine far away pushes its results by itself; needs --secret-env CCNB_PUSH_TOKEN.",
        "--push-to",
        metavar="URL[#BRANCH]",
    ),
]
Reuse = Annotated[
    bool,
    _option(_WHERE, "Give a finished run of the same task on the same files, if there is one.", "--reuse"),
]

Model = Annotated[str | None, _option(_AGENT, "The model's name or alias.", "--model")]
Setup = Annotated[
    str | None, _option(_AGENT, "A shell command to run before the agent.", "--setup", metavar="COMMAND")
]
Check = Annotated[
    str | None,
    _option(_AGENT, "A shell command to run after it: exit code 0 is a pass.", "--check", metavar="COMMAND"),
]
Env = Annotated[
    list[str] | None,
    _option(_AGENT, "A variable for the place; repeat it for more.", "--env", "-e", metavar="NAME=VALUE"),
]
SecretEnv = Annotated[
    list[str] | None,
    _option(
        _AGENT,
        "A variable of your environment to pass on, kept out of all output; repeat it for more.",
        "--secret-env",
        metavar="NAME",
    ),
]
PermissionMode = Annotated[
    str | None,
    _option(_AGENT, "Claude's own setting, such as acceptEdits.", "--permission-mode", metavar="MODE"),
]
AllowedTools = Annotated[
    list[str] | None,
    _option(_AGENT, "A tool that needs no permission; repeat it for more.", "--allowed-tools"),
]
DisallowedTools = Annotated[
    list[str] | None, _option(_AGENT, "A tool that is refused; repeat it for more.", "--disallowed-tools")
]
SystemPrompt = Annotated[str | None, _option(_AGENT, "Instead of Claude's own.", "--system-prompt")]
AppendSystemPrompt = Annotated[
    str | None, _option(_AGENT, "After Claude's own system prompt.", "--append-system-prompt")
]
Resume = Annotated[
    str | None,
    _option(_AGENT, "The id of one of Claude's sessions, to go on with.", "--resume", metavar="SESSION"),
]

Continue = Annotated[
    str | None,
    _option(
        _AGENT,
        "An earlier run to go on with, in its conversation and its workspace.",
        "--continue",
        metavar="RUN",
    ),
]

Timeout = Annotated[
    float | None,
    _option(_LIMITS, "Seconds that the agent may work; 1800 if not given.", "--timeout", metavar="SECONDS"),
]
MaxTurns = Annotated[int | None, _option(_LIMITS, "The most turns.", "--max-turns", metavar="COUNT")]
BudgetUsd = Annotated[float | None, _option(_LIMITS, "The most dollars.", "--budget-usd", metavar="USD")]
BudgetTokens = Annotated[
    int | None,
    _option(_LIMITS, "The most tokens; the gateway holds it.", "--budget-tokens", metavar="COUNT"),
]
MemoryMb = Annotated[int | None, _option(_LIMITS, "Memory of the place in MB.", "--memory-mb", metavar="MB")]
Cpus = Annotated[float | None, _option(_LIMITS, "Processors of the place.", "--cpus", metavar="COUNT")]

Background = Annotated[
    bool,
    _option(_SHOWN, "Print the run's id once the agent runs, and leave it running.", "--background", "--bg"),
]
Json = Annotated[bool, _option(_SHOWN, "Print JSON and nothing else to standard output.", "--json")]
Quiet = Annotated[bool, _option(_SHOWN, "Print the agent's answer alone.", "--quiet", "-q")]

OlderThan = Annotated[
    str | None,
    typer.Option(
        "--older-than", metavar="TIME", help="Longer ago than this: 30m, 12h, 7d.", show_default=False
    ),
]
ExtraCa = Annotated[
    Path | None,
    typer.Option(
        "--extra-ca",
        metavar="FILE",
        help="Certificates to trust, as behind a company's proxy (PEM).",
        show_default=False,
    ),
]

_MATRIX, _WHOLE = "What is compared", "Limits of the whole"

Prompts = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[PROMPT]...",
        help="What to ask of the agent; several are compared. - reads one from standard input.",
        show_default=False,
    ),
]
MatrixFile = Annotated[
    Path | None,
    _option(_MATRIX, "A TOML file with the options of ccnb.compare; see the docs.", "--file", "-f"),
]
Modes = Annotated[
    str | None,
    _option(_MATRIX, "Modes, such as docker,podman, or all.", "--mode", "-m", envvar="CCNB_MODE"),
]
Models = Annotated[list[str] | None, _option(_MATRIX, "A model; repeat it for more.", "--model")]
Axis = Annotated[
    list[str] | None,
    _option(
        _MATRIX,
        "Any other field of RunSpec with its levels; repeat it for more.",
        "--axis",
        metavar="FIELD=LEVEL,...",
    ),
]
Repeats = Annotated[
    int | None, _option(_MATRIX, "Runs of each arm; one if not given.", "--repeats", "-n", metavar="COUNT")
]
DemoRepeats = Annotated[
    int,
    typer.Option(
        "--repeats",
        "-n",
        min=0,
        metavar="COUNT",
        help="Runs of each mode that are compared in a report; 0 for none.",
    ),
]
MaxRepeats = Annotated[
    int | None,
    _option(
        _MATRIX,
        "Add repeats up to so many where the time's interval is wide.",
        "--max-repeats",
        metavar="COUNT",
    ),
]
Precision = Annotated[
    float | None,
    _option(_MATRIX, "What is wide: more than this part of the median; 0.1 if not given.", "--precision"),
]
Warmups = Annotated[
    int | None, _option(_MATRIX, "Runs of each mode before, which don't count.", "--warmups", metavar="COUNT")
]
ComparisonName = Annotated[
    str | None, _option(_MATRIX, "Under which it is kept, and goes on when it was stopped.", "--name")
]
Seed = Annotated[int | None, _option(_MATRIX, "Of the order.", "--seed", metavar="NUMBER")]
LockFile = Annotated[
    Path | None,
    _option(_MATRIX, "Run the matrix of a comparison.lock again, or nothing.", "--lock", metavar="FILE"),
]
Concurrency = Annotated[
    str | None,
    _option(
        _MATRIX,
        "Runs at once, or of each mode; one where times are compared.",
        "--concurrency",
        "-j",
        metavar="COUNT or MODE=COUNT,...",
    ),
]
ComparedApi = Annotated[
    str | None, _option(_WHERE, "live, script:NAME-or-FILE or replay:FILE.", "--api", metavar="SOURCE")
]
TotalUsd = Annotated[float | None, _option(_WHOLE, "The most dollars.", "--total-usd", metavar="USD")]
TotalTokens = Annotated[int | None, _option(_WHOLE, "The most tokens.", "--total-tokens", metavar="COUNT")]
TotalS = Annotated[float | None, _option(_WHOLE, "The most seconds.", "--total-s", metavar="SECONDS")]
Yes = Annotated[bool, _option(_WHOLE, "Do more than a thousand runs.", "--yes")]
Show = Annotated[
    str | None, _option(_SHOWN, "Show a comparison that is kept; run nothing.", "--show", metavar="NAME")
]
NoProgress = Annotated[bool, _option(_SHOWN, "No line for each run.", "--quiet", "-q")]

Notebook = Annotated[
    Path | None,
    typer.Argument(metavar="[NOTEBOOK]", help="The notebook to execute.", show_default=False),
]
Parameter = Annotated[
    list[str] | None,
    typer.Option(
        "-p",
        "--parameter",
        metavar="NAME=VALUE",
        help="For the cell that is tagged `parameters`; the value is read as YAML. Repeat it for more.",
        show_default=False,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="Where the page goes, or with .ipynb the notebook; next to the notebook if not given.",
        show_default=False,
    ),
]
FromStore = Annotated[
    str | None,
    typer.Option(
        "--from-store",
        metavar="NAME",
        help="The page of a comparison that has run; nothing is run.",
        show_default=False,
    ),
]
CellTimeout = Annotated[
    float | None,
    typer.Option("--cell-timeout", metavar="SECONDS", help="The most for one cell.", show_default=False),
]
