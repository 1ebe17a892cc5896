"""The commands and their options. What they do is imported when one is called: `--help` stays fast."""

from __future__ import annotations

from typing import Annotated

import typer

import ccnb
from ccnb.cli import options as o

_EXIT_CODES = (
    "Exit codes: 0 success, 1 the agent or its check failed, 2 bad input, 3 mode, engine or image not "
    "available, 4 credential, 5 the place was lost, 130 interrupted."
)


def _examples(*lines: str) -> str:
    """Return the text below a command's help: rich sets a paragraph on a line of its own."""
    return "\n\n".join(["Examples:", *(f"  {line}" for line in lines), _EXIT_CODES])


app = typer.Typer(
    help="Run Claude Code in isolated places, follow it live, keep what it did.",
    add_completion=False,
    pretty_exceptions_enable=False,  # they would print local variables, and with them secrets
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog=_examples(
        "ccnb doctor",
        "ccnb demo",
        "ccnb run 'Add tests' -w . --check 'pytest -q'",
        "ccnb run --mode all 'Write a haiku to haiku.txt'",
    ),
)
runs_app = typer.Typer(invoke_without_command=True, help="List the runs that are kept, or remove some.")
image_app = typer.Typer(no_args_is_help=True, help="Build the image that agents run in.")
sandbox_app = typer.Typer(
    no_args_is_help=True, help="List the sandboxes of this store's runs, or remove some."
)
fly_app = typer.Typer(no_args_is_help=True, help="Set up mode fly: a machine of Fly.io for each run.")
app.add_typer(runs_app, name="runs", rich_help_panel="What is kept")
app.add_typer(sandbox_app, name="sandbox", rich_help_panel="What is kept")
app.add_typer(image_app, name="image", rich_help_panel="This machine")
app.add_typer(fly_app, name="fly", rich_help_panel="This machine")

_KEPT, _MACHINE = "What is kept", "This machine"


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
    epilog=_examples(
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
    epilog=_examples(
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


@runs_app.callback()
def runs(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, help="The most to list.")] = 20,
    as_json: o.Json = False,
) -> int:
    """List the runs that are kept, the latest first; `ccnb runs rm` removes some."""
    if context.invoked_subcommand is not None:
        return 0
    from ccnb.cli import kept

    return kept.list_runs(limit, as_json=as_json)


@runs_app.command("rm", epilog=_examples("ccnb runs rm 261124-063549-ddjan", "ccnb runs rm --older-than 7d"))
def runs_rm(
    run_ids: Annotated[list[str] | None, typer.Argument(metavar="[RUN]...", show_default=False)] = None,
    *,
    older_than: o.OlderThan = None,
    all_finished: Annotated[bool, typer.Option("--all-finished", help="Every finished run.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Unfinished runs too; they are ended.")] = False,
) -> int:
    """Remove runs with their events and files."""
    from ccnb.cli import kept

    return kept.remove_runs(run_ids or [], older_than, all_finished=all_finished, force=force)


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
    epilog=_examples("ccnb token", 'eval "$(ccnb token --export)"', "ccnb token --json"),
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


@image_app.command(
    "build", epilog=_examples("ccnb image build --extra-ca /etc/ssl/certs/ca-certificates.crt")
)
def image_build(
    *,
    engine: Annotated[
        str | None, typer.Option(metavar="docker|podman", help="The first that answers.")
    ] = None,
    claude_version: Annotated[str, typer.Option(help="The Claude Code to install.")] = "latest",
    base: Annotated[str | None, typer.Option(help="Build on this image, not on node:22-slim.")] = None,
    extra_ca: o.ExtraCa = None,
    platform: Annotated[str | None, typer.Option(metavar="OS/ARCH", help="Such as linux/amd64.")] = None,
) -> int:
    """Build the project's image; runs build it by themselves when it isn't there."""
    from ccnb.cli import machine

    return machine.build_image(engine, claude_version, base, extra_ca, platform)


@sandbox_app.command("ls")
def sandbox_ls(*, as_json: o.Json = False) -> int:
    """List the sandboxes of this store: those that last, and what runs have left or are in."""
    from ccnb.cli import sandbox

    return sandbox.list_sandboxes(as_json=as_json)


@sandbox_app.command(
    "rm",
    epilog=_examples(
        "ccnb sandbox rm 261124-063549-ddjan",
        "ccnb sandbox rm my-lasting-one",
        "ccnb sandbox rm --all",
    ),
)
def sandbox_rm(
    names: Annotated[list[str] | None, typer.Argument(metavar="[RUN|NAME]...", show_default=False)] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All of this store, lasting ones too.")] = False,
    as_json: o.Json = False,
) -> int:
    """Remove sandboxes with all that is in them; a run that goes on in one is ended as lost."""
    from ccnb.cli import sandbox

    return sandbox.remove_sandboxes(names or [], everything=everything, as_json=as_json)


@fly_app.command("setup", epilog=_examples("ccnb fly setup --app my-ccnb --region arn"))
def fly_setup(
    *,
    app_name: Annotated[str | None, typer.Option("--app", help="Its name; no other app may have it.")] = None,
    org: Annotated[str | None, typer.Option(help="The organisation that pays; else your own.")] = None,
    region: Annotated[str | None, typer.Option(help="Where machines are made; else arn (Stockholm).")] = None,
) -> int:
    """Make an app on Fly.io and name it in fly.toml; needs a token in FLY_API_TOKEN."""
    from ccnb.cli import fly

    return fly.setup(app_name, org, region)


@fly_app.command("build")
def fly_build(
    *,
    engine: Annotated[
        str | None, typer.Option(metavar="docker|podman", help="The first that answers.")
    ] = None,
    remote: Annotated[bool, typer.Option("--remote", help="Say how to do it without an engine.")] = False,
) -> int:
    """Build the project's image and push it to the app's registry."""
    from ccnb.cli import fly

    return fly.build(engine, remote=remote)


@fly_app.command("status")
def fly_status(*, as_json: o.Json = False) -> int:
    """Show the app, its image, and the machines that runs have."""
    from ccnb.cli import fly

    return fly.status(as_json=as_json)


@fly_app.command("logs")
def fly_logs(
    run_id: o.RunId,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
) -> int:
    """Print the platform's log of a run's machine; the run's events don't come from there."""
    from ccnb.cli import fly

    return fly.logs(run_id, follow=follow)
