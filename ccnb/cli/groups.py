"""The groups of commands: `runs`, `image`, `sandbox`, `fly`. What they do is imported when one is called."""

from __future__ import annotations

from typing import Annotated

import typer

from ccnb.cli import options as o
from ccnb.cli.examples import examples

runs_app = typer.Typer(invoke_without_command=True, help="List the runs that are kept, or remove some.")
image_app = typer.Typer(no_args_is_help=True, help="Build the image that agents run in.")
sandbox_app = typer.Typer(
    no_args_is_help=True, help="List the sandboxes of this store's runs, or remove some."
)
fly_app = typer.Typer(no_args_is_help=True, help="Set up mode fly: a machine of Fly.io for each run.")


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


@runs_app.command("rm", epilog=examples("ccnb runs rm 261124-063549-ddjan", "ccnb runs rm --older-than 7d"))
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


@image_app.command("build", epilog=examples("ccnb image build --extra-ca /etc/ssl/certs/ca-certificates.crt"))
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
    epilog=examples(
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


@fly_app.command("setup", epilog=examples("ccnb fly setup --app my-ccnb --region arn"))
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
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the machine is gone.")] = False,
) -> int:
    """Print the platform's log of a run's machine; the run's events don't come from there."""
    from ccnb.cli import fly

    return fly.logs(run_id, follow=follow)
