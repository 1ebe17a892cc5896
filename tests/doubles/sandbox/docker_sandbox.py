"""The command line of `docker sandbox` v0.12 (Docker Desktop 4.61); all else goes to the real docker.

CCNB_DOUBLE_PLUGIN is `new` (the usual), `old` (Docker Desktop 4.50 to 4.57) or `none`;
CCNB_DOUBLE_DESKTOP is Docker Desktop's version.
"""

import json
import os

import double
from double import Failure, Parser

VERSION = "github.com/docker/sandboxes/cli-plugin v0.12.0 f00f0d6473647c2201cd0507ce31613345c48ae6"
OLD_VERSION = "docker-sandbox version v0.6.0"
DENIED = (
    *("10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"),
    *("::1/128", "fc00::/7", "fe80::/10"),
)
"""Ranges that no sandbox reaches at first."""


def main(arguments):
    desktop = os.environ.get("CCNB_DOUBLE_DESKTOP")
    if desktop and arguments[:1] == ["version"]:
        print(f"Docker Desktop {desktop} (209624)")
        return 0
    plugin = os.environ.get("CCNB_DOUBLE_PLUGIN", "new")
    if arguments[:1] != ["sandbox"]:
        double.hand_over(arguments)
    if plugin == "none":
        return double.run(missing, arguments)
    return double.run(old if plugin == "old" else obey, arguments[1:])


def missing(arguments):
    raise Failure("docker: unknown command: docker sandbox\n\nRun 'docker --help' for more information")


def old(arguments):
    if arguments == ["version"]:
        print(OLD_VERSION)
    elif arguments[:1] == ["ls"]:
        print("SANDBOX ID   TEMPLATE   NAME   WORKSPACE   STATUS   CREATED")
    else:
        raise Failure(
            f"unknown command: docker sandbox {arguments[0]}\n\nRun 'docker sandbox --help' for more"
        )


def obey(arguments):
    command, rest = (arguments or ["help"])[0], arguments[1:]
    if command not in COMMANDS:
        raise Failure(f"unknown command: docker sandbox {command}")
    if rest == ["--help"]:
        print(f"Usage:  docker sandbox {command} [OPTIONS]")
        return None
    double.ail(command)
    if double.strikes("banner") and command != "version":
        print("Starting sandboxd daemon...")
    return COMMANDS[command](rest)


def version(arguments):
    print(VERSION)


def create(arguments):
    parser = Parser("docker sandbox create")
    for flags in (("--name",), ("-t", "--template"), ("--pull-template",)):
        parser.add_argument(*flags)
    parser.add_argument("-q", "--quiet", action="store_true")
    parser.add_argument("agent")
    parser.add_argument("path", nargs="+")
    given = parser.parse_intermixed_args(arguments)
    made = double.create(given.agent, given.path, name=given.name, template=given.template)
    made["policy"] = {"default": "allow", "allow": [], "deny": list(DENIED)}
    double.save(made)
    print(made["name"])


def ls(arguments):
    found = [
        {
            "name": s["name"],
            "agent": s["agent"],
            "status": double.status(s),
            "socket_path": f"/Users/u/.docker/sandboxes/vm/{s['name']}/docker.sock",
            "sandbox_count": 1,
            "workspaces": s["workspaces"],
        }
        for s in double.everyone()
    ]
    key = "vms" if found and not double.strikes("other-key") else "sandboxes"
    if "--json" in arguments:
        print(json.dumps({key: found}))
        return
    print("VM ID  NAME  STATUS  WORKSPACE  SOCKET PATH  SANDBOXES  AGENTS")


def stop(arguments):
    for name in arguments:
        double.stop(double.load(name))
        print(name)


def rm(arguments):
    if any(argument.startswith("-") for argument in arguments):
        raise Failure(f"unknown shorthand flag: {arguments[0]}")
    for name in arguments:
        sandbox = double.load(name)
        if double.strikes("rm-asks") and not double.answer("Are you sure you want to continue?"):
            raise Failure("removal declined")
        double.remove(sandbox)
        print(name)


def network(arguments):
    match arguments:
        case ["proxy", name, *rest]:
            proxy(name, rest)
        case ["log", *rest]:
            limit = int(rest[rest.index("--limit") + 1]) if "--limit" in rest else 0
            entries = [entry | {"timestamp": entry["timestamp"][:19] + "Z"} for entry in double.log()]
            double.show_log({"entries": entries[-limit:]})
        case _:
            raise Failure("unknown command")


def proxy(name, arguments):
    parser = Parser("docker sandbox network proxy")
    parser.add_argument("--policy", choices=("allow", "deny"))
    for flag in ("allow-host", "block-host", "allow-cidr", "block-cidr", "bypass-host", "bypass-cidr"):
        parser.add_argument(f"--{flag}", action="append", default=[])
    given = parser.parse_args(arguments)
    sandbox = double.load(name)
    if double.status(sandbox) != "running":
        raise Failure(f"sandbox {name} is not running")
    rules = sandbox["policy"]
    rules["default"] = given.policy or rules["default"]
    rules["allow"] += given.allow_host + given.bypass_host + given.allow_cidr + given.bypass_cidr
    denied = rules["deny"] + given.block_host + given.block_cidr
    rules["deny"] = [pattern for pattern in denied if pattern not in given.allow_host + given.allow_cidr]
    double.save(sandbox)


COMMANDS = {
    "save": lambda arguments: double.keep_as_template(*arguments),
    "version": version,
    "create": create,
    "exec": lambda arguments: double.execute(arguments, "docker sandbox exec"),
    "ls": ls,
    "stop": stop,
    "rm": rm,
    "network": network,
}
