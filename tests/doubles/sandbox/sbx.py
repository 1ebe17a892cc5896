"""The command line of `sbx` v0.53."""

import json
import sys
from urllib.parse import urlsplit

import double
from double import Failure, Parser

PRESETS = {
    "allow-all": {"default": "allow", "allow": [], "deny": []},
    "balanced": {
        "default": "deny",
        "allow": ["api.anthropic.com", "*.anthropic.com", "api.anthropic.test", "github.com"],
        "deny": [],
    },
    "deny-all": {"default": "deny", "allow": [], "deny": []},
}
NO_POLICY = "ERROR: global network policy has not been initialized"
SIGNED_OUT = "ERROR: You are not authenticated to Docker. Run 'sbx login' to sign in."


def main(arguments):
    return double.run(obey, arguments)


def obey(arguments):
    command, rest = (arguments or ["help"])[0], arguments[1:]
    if command not in COMMANDS:
        raise Failure(f'unknown command "{command}" for "sbx"')
    if command not in ("version", "login", "policy", "diagnose"):
        double.ail(command)
        if double.strikes("signed-out"):
            raise Failure(SIGNED_OUT)
        if double.strikes("banner"):
            print("Starting sandboxd daemon...")
            print("Daemon started (PID: 4244, socket: /run/user/1000/sandboxd.sock)")
    if command in ("create", "exec", "run") and double.policy() is None:
        raise Failure(NO_POLICY)
    return COMMANDS[command](rest)


def version(arguments):
    double.ail("version")
    if "--json" in arguments:
        print(json.dumps({"version": "v0.53.0"}))
    else:
        print("sbx version: v0.53.0 3b1d3a7f7a5e3f9d2c4b")


def create(arguments):
    parser = Parser("sbx create")
    for flags in (
        ("--name",),
        ("-t", "--template"),
        ("--cpus",),
        ("-m", "--memory"),
        ("--kit",),
        ("--deny-network",),
    ):
        parser.add_argument(*flags)
    for flags in (("-q", "--quiet"), ("--clone",)):
        parser.add_argument(*flags, action="store_true")
    parser.add_argument("agent")
    parser.add_argument("path", nargs="*")
    given = parser.parse_intermixed_args(arguments)
    if not given.path:
        raise Failure("the double has no sandboxes without a folder")
    limits = [f"--cpus={given.cpus}"] if given.cpus else []
    limits += [f"--memory={given.memory}"] if given.memory else []
    made = double.create(given.agent, given.path, name=given.name, template=given.template, limits=limits)
    if not given.quiet:
        print(f"Creating new sandbox '{made['name']}'...")
        print(f"✓ Created sandbox '{made['name']}'")


def ls(arguments):
    key = "vms" if double.strikes("other-key") else "sandboxes"
    found = [
        {"name": s["name"], "agent": s["agent"], "status": double.status(s), "workspaces": s["workspaces"]}
        for s in double.everyone()
    ]
    if "--json" in arguments:
        print(json.dumps({key: found}, indent=2))
        return
    print("SANDBOX  AGENT  STATUS  PORTS  WORKSPACE")
    for sandbox in found:
        print(sandbox["name"], sandbox["agent"], sandbox["status"], "-", sandbox["workspaces"][0], sep="  ")


def stop(arguments):
    for name in arguments:
        double.stop(double.load(name))
        print(f"Sandbox '{name}' stopped")


def rm(arguments):
    names = [a for a in arguments if a not in ("-f", "--force")]
    for name in names:
        sandbox = double.load(name)
        if len(names) == len(arguments) and not double.answer(f"Remove sandbox '{name}'?"):
            raise Failure("removal declined")
        double.remove(sandbox)
        print(f"Sandbox '{name}' removed")


def policy(arguments):
    double.ail("policy")
    match arguments:
        case ["init", preset] if preset in PRESETS:
            (double.STATE / "policy.json").write_text(json.dumps(PRESETS[preset]))
        case [("allow" | "deny") as verb, "network", *rest]:
            rule(verb, rest)
        case ["log", *rest]:
            show_log(rest)
        case ["check", "network", *scope, host] if scope[:1] in ([], ["--sandbox"]):
            host = host if ":" in host else f"{host}:443"
            allowed = double.allows(double.load(scope[1]) if scope else {}, *host.split(":"))
            print(f"{'Allowed' if allowed else 'Denied'}: {host}")
        case ["ls", *_]:
            rules = double.policy()
            if rules is None:
                raise Failure(NO_POLICY)
            print("POLICY        SOURCE  APPLIES TO  SUMMARY")
            print(f"local-policy  local   all         network: {len(rules['allow'])} allow")
        case _:
            raise Failure(f"unknown policy command {' '.join(arguments)}")


def rule(verb, arguments):
    parser = Parser("sbx policy")
    parser.add_argument("--sandbox")
    parser.add_argument("resources")
    given = parser.parse_args(arguments)
    hosts = [host.strip() for host in given.resources.split(",")]
    if given.sandbox:
        sandbox = double.load(given.sandbox)
        own = sandbox.setdefault("policy", {"allow": [], "deny": []})
        own[verb] += hosts
        double.save(sandbox)
    else:
        rules = double.policy() or PRESETS["balanced"]
        rules[verb] += hosts
        (double.STATE / "policy.json").write_text(json.dumps(rules))
    print(f"Policy added: {verb} {', '.join(hosts)}")


def show_log(arguments):
    parser = Parser("sbx policy log")
    for flags in (("--json",), ("-q", "--quiet")):
        parser.add_argument(*flags, action="store_true")
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--type", default="all")
    parser.add_argument("name", nargs="?")
    given = parser.parse_intermixed_args(arguments)
    double.show_log(by_host(double.log(given.name)[-given.limit :]))


def by_host(requests):
    """Sum requests up as v0.32 to v0.47 do: what was allowed and what wasn't, an entry for each host."""
    found = {"blocked_hosts": {}, "allowed_hosts": {}}
    for request in requests:
        url = urlsplit(request["url"])
        host = f"{url.hostname}:{url.port or (443 if url.scheme == 'https' else 80)}"
        entry = found["allowed_hosts" if request["action"] == "allowed" else "blocked_hosts"].setdefault(
            (request["sandbox"], host),
            {
                "host": host,
                "vm_name": request["sandbox"],
                "proxy_type": "forward",
                "rule": "",
                "since": request["timestamp"],
                "count_since": 0,
            },
        )
        # Nine digits after the point, as Go prints them.
        entry["last_seen"] = request["timestamp"].replace("+", "000+")
        entry["count_since"] += 1
        if request["action"] != "allowed":
            operation = f"op=(action:net:connect:tcp, resource=net:domain:{host})"
            entry["rule"] = f"no applicable policies for {operation}"
            entry["reason"] = "No matching allow rule (default deny)"
    return {key: list(entries.values()) for key, entries in found.items()}


def secret(arguments):
    file = double.STATE / "secrets.json"
    match arguments:
        case ["set", service]:
            file.write_text(json.dumps(double.secrets() | {service: sys.stdin.read().strip()}))
        case ["set", service, "-t", value]:
            file.write_text(json.dumps(double.secrets() | {service: value}))
        case ["rm", service, *_]:
            file.write_text(json.dumps({k: v for k, v in double.secrets().items() if k != service}))
        case ["ls", *_]:
            print("SCOPE   TYPE     NAME")
            for service in double.secrets():
                print(f"global  service  {service}")
        case _:
            raise Failure(f"unknown secret command {' '.join(arguments)}")


def diagnose(arguments):
    double.ail("diagnose")
    signed_out = double.strikes("signed-out")
    checks = [
        {"name": "CLI binary", "status": "pass", "message": "found"},
        {"name": "Daemon", "status": "pass", "message": "healthy"},
        {"name": "Authentication", "status": "fail" if signed_out else "pass", "message": "see sbx login"},
    ]
    print(json.dumps({"version": "1.0", "checks": checks}))


def template(arguments):
    match arguments:
        case ["save", name, tag]:
            double.keep_as_template(name, tag)
        case _:
            raise Failure(f"unknown template command {' '.join(arguments)}")


COMMANDS = {
    "template": template,
    "diagnose": diagnose,
    "version": version,
    "login": lambda _: None,
    "create": create,
    "exec": lambda arguments: double.execute(arguments, "sbx exec"),
    "ls": ls,
    "stop": stop,
    "rm": rm,
    "policy": policy,
    "secret": secret,
}
