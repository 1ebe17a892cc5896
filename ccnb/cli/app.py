"""The commands and their options. What they do is imported when one is called: `--help` stays fast."""

from __future__ import annotations

from typing import Annotated

import typer

import ccnb
from ccnb.cli import groups
from ccnb.cli import options as o
from ccnb.cli.examples import examples

app = typer.Typer(
    help="Run Claude Code in isolated places, follow it live, keep what it did.",
    add_completion=False,
    pretty_exceptions_enable=False,  # they would print local variables, and with them secrets
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog=examples(
        "ccnb doctor",
        "ccnb demo",
        "ccnb run 'Add tests' -w . --check 'pytest -q'",
        "ccnb run --mode all 'Write a haiku to haiku.txt'",
    ),
)

_KEPT, _MACHINE = "What is kept", "This machine"

app.add_typer(groups.runs_app, name="runs", rich_help_panel=_KEPT)
app.add_typer(groups.sandbox_app, name="sandbox", rich_help_panel=_KEPT)
app.add_typer(groups.image_app, name="image", rich_help_panel=_MACHINE)
app.add_typer(groups.fly_app, name="fly", rich_help_panel=_MACHINE)


@app.callback(invoke_without_command=True)
def top(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Run Claude Code in isolated places, follow it live, keep what it did."""
    if version:
        typer.echo(f"ccnb {ccnb.__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command(
    epilog=examples(
        "ccnb run --api script:demo   (no account needed)",
        "ccnb run 'Fix the failing test' -w . --copy --check 'pytest -q'",
        "ccnb run --mode docker,podman 'Write a haiku to haiku.txt' --model haiku",
        "git diff | ccnb run - --quiet > review.txt",
        "ccnb run --bg 'Port this to Rust' -w .",
        "ccnb run --continue 261124-063549-ddjan 'Now add tests'",
    )
)
def run(
    prompt: o.Prompt = None,
    *,
    mode: o.Mode = "auto",
    workspace: o.Workspace = None,
    copy: o.Copy = False,
    api: o.Api = "live",
    auth: o.Auth = None,
    network: o.Network = None,
    image: o.Image = None,
    isolation: o.Isolation = None,
    sandbox: o.Sandbox = None,
    keep: o.Keep = False,
    keep_s: o.KeepS = None,
    push_to: o.PushTo = None,
    reuse: o.Reuse = False,
    model: o.Model = None,
    setup: o.Setup = None,
    check: o.Check = None,
    env: o.Env = None,
    secret_env: o.SecretEnv = None,
    permission_mode: o.PermissionMode = None,
    allowed_tools: o.AllowedTools = None,
    disallowed_tools: o.DisallowedTools = None,
    system_prompt: o.SystemPrompt = None,
    append_system_prompt: o.AppendSystemPrompt = None,
    resume: o.Resume = None,
    continues: o.Continue = None,
    timeout: o.Timeout = None,
    max_turns: o.MaxTurns = None,
    budget_usd: o.BudgetUsd = None,
    budget_tokens: o.BudgetTokens = None,
    memory_mb: o.MemoryMb = None,
    cpus: o.Cpus = None,
    background: o.Background = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> int:
    """Run a task and follow it live."""
    given = locals()  # all of the above, by name: most are fields of the spec
    from ccnb.cli import running

    return running.run(running.Request.of(given))


@app.command()
def attach(
    run_id: o.RunId,
    *,
    cancel: Annotated[bool, typer.Option("--cancel", help="End the run.")] = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> int:
    """Follow a run from its first event to its result; Ctrl-C leaves it going on."""
    from ccnb.cli import running

    return running.attach(run_id, cancel=cancel, as_json=as_json, quiet=quiet)


@app.command()
def demo(
    *, mode: o.Mode = "all", image: o.Image = None, repeats: o.DemoRepeats = 8, as_json: o.Json = False
) -> int:
    """Do the same small task in every mode that is ready, and compare them; needs no account."""
    from ccnb.cli import demo as command

    return command.demo(mode, image, repeats, as_json=as_json)


@app.command(
    epilog=examples(
        "ccnb compare --mode docker,podman --api script:demo --repeats 10   (no account needed)",
        "ccnb compare 'Fix it' -w . --check 'pytest -q' --model sonnet --model opus -n 8 --name models",
        "ccnb compare --file matrix.toml",
        "ccnb compare --lock comparison.lock",
        "ccnb compare --show models",
    )
)
def compare(
    prompts: o.Prompts = None,
    *,
    file: o.MatrixFile = None,
    mode: o.Modes = None,
    model: o.Models = None,
    axis: o.Axis = None,
    repeats: o.Repeats = None,
    max_repeats: o.MaxRepeats = None,
    precision: o.Precision = None,
    warmups: o.Warmups = None,
    name: o.ComparisonName = None,
    seed: o.Seed = None,
    lock: o.LockFile = None,
    concurrency: o.Concurrency = None,
    workspace: o.Workspace = None,
    api: o.ComparedApi = None,
    auth: o.Auth = None,
    network: o.Network = None,
    image: o.Image = None,
    isolation: o.Isolation = None,
    setup: o.Setup = None,
    check: o.Check = None,
    env: o.Env = None,
    secret_env: o.SecretEnv = None,
    timeout: o.Timeout = None,
    max_turns: o.MaxTurns = None,
    budget_usd: o.BudgetUsd = None,
    budget_tokens: o.BudgetTokens = None,
    total_usd: o.TotalUsd = None,
    total_tokens: o.TotalTokens = None,
    total_s: o.TotalS = None,
    yes: o.Yes = False,
    show: o.Show = None,
    as_json: o.Json = False,
    quiet: o.NoProgress = False,
) -> int:
    """Run every combination of some factors, in fair order, and say which is better; resumes by --name."""
    given = locals()
    from ccnb.cli import comparing

    return comparing.run(given)


@app.command()
def report(
    notebook: o.Notebook = None,
    *,
    parameter: o.Parameter = None,
    output: o.Output = None,
    from_store: o.FromStore = None,
    cell_timeout: o.CellTimeout = None,
) -> int:
    """Execute a notebook into an HTML page that needs no script; exit code 1 when a cell fails."""
    from ccnb.cli import reporting

    return reporting.run(notebook, parameter or [], output, from_store, cell_timeout)


@app.command(rich_help_panel=_KEPT)
def show(
    run_id: o.RunId,
    *,
    events: Annotated[bool, typer.Option("--events", help="The events as JSON lines.")] = False,
    patch: Annotated[bool, typer.Option("--patch", help="What it changed, as a patch.")] = False,
    files: Annotated[bool, typer.Option("--files", help="The files it changed.")] = False,
    network: Annotated[
        bool, typer.Option("--network", help="What its list of hosts allowed and refused.")
    ] = False,
    as_json: o.Json = False,
) -> int:
    """Show a run: its conversation, its result, its time by phase."""
    from ccnb.cli import kept

    return kept.show(run_id, events=events, patch=patch, files=files, network=network, as_json=as_json)


@app.command(rich_help_panel=_KEPT)
def shell(run_id: o.RunId) -> None:
    """Open a shell in the place of a run that goes on, or was run with --keep."""
    from ccnb.cli import kept

    kept.shell(run_id)


@app.command(rich_help_panel=_KEPT)
def sweep(*, older_than: o.OlderThan = None, as_json: o.Json = False) -> int:
    """Remove the places that no run needs any more."""
    from ccnb.cli import kept

    return kept.sweep(older_than, as_json=as_json)


@app.command(rich_help_panel=_MACHINE)
def modes(*, as_json: o.Json = False) -> int:
    """Show the modes: which are ready, and how they differ."""
    from ccnb.cli import machine

    return machine.modes(as_json=as_json)


@app.command(
    rich_help_panel=_MACHINE,
    epilog=examples("ccnb token", 'eval "$(ccnb token --export)"', "ccnb token --json"),
)
def token(
    *,
    token_only: Annotated[bool, typer.Option("--token-only", help="Print its value alone.")] = False,
    export: Annotated[
        bool, typer.Option("--export", help="Print a line for a shell that exports it.")
    ] = False,
    as_json: o.Json = False,
) -> int:
    """Show the token that runs use, and keep it in the .env of the current folder."""
    from ccnb.cli import token as command

    return command.token(token_only=token_only, export=export, as_json=as_json)


@app.command(rich_help_panel=_MACHINE)
def doctor(*, as_json: o.Json = False) -> int:
    """Show what is ready on this machine, what isn't, why, and what to do."""
    from ccnb.cli import machine

    return machine.doctor(as_json=as_json)
