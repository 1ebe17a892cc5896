"""What the doubles of `sbx` and `docker sandbox` share: sandboxes that are containers of the local engine.

The state lies in the folder that CCNB_DOUBLE names: a JSON file for each sandbox, `secrets.json`,
`policy.json`, and `faults`, one fault in a line, with the number of times it strikes (for good without one):

  create-fails    `create` fails, as it does now and then
  banner          lines about a daemon that is being started come before JSON
  other-key       the list has the key that the other program uses
  stale           every sandbox is said to be running
  not-logged-in   the credential's stand-in is known to login shells only
  signed-out      the person is not signed in to Docker
  no-policy       no network policy was chosen yet
  no-daemon       the daemon isn't there
  no-kvm          the machine has no virtualisation
  hang            nothing is ever answered; `hang:ls` for one command alone
  rm-asks         `rm` asks whether one is sure
  exec-breaks     `exec` dies before it has begun
  unknown         something that nobody has seen before is printed
  odd-log         the proxy's log has a form that nobody has seen before

Not imitated: a kernel of its own, root for the agent, interception of TLS, the commands that ccnb has no use
for (`run`, `cp`, `ports` and more).
"""

import argparse
import contextlib
import fcntl
import fnmatch
import ipaddress
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

STATE = Path(os.environ.get("CCNB_DOUBLE", "/nonexistent"))
TEMPLATE = os.environ.get("CCNB_DOUBLE_TEMPLATE", "docker/sandbox-templates:claude-code")
AGENT_UID = 52018
"""The user `agent` of the tests' templates; no file of the machine's own belongs to it."""
AGENTS = ("cagent", "claude", "codex", "copilot", "gemini", "kiro", "opencode", "shell")
HERE = Path(__file__).resolve().parent


class Failure(Exception):  # noqa: N818 - no error of the double's
    """What the program prints on its standard error before it ends with 1."""


class Parser(argparse.ArgumentParser):
    """Ends with 1 and one line, as the real ones do."""

    def __init__(self, prog):
        super().__init__(prog=prog, add_help=False, allow_abbrev=False)
        self.add_argument("-D", "--debug", action="store_true")

    def error(self, message):
        flag = re.search(r"unrecognized arguments: (-\S+)", message)
        raise Failure(f"unknown flag: {flag[1]}" if flag else message)


def run(main, arguments):
    """Run a command of a double and return its exit code."""
    try:
        return main(arguments) or 0
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1


def strikes(name):
    """Whether a fault strikes now; counts it."""
    file = STATE / "faults"
    if not file.exists():
        return False
    with file.open("r+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        faults = dict([*line.split(), "-1"][:2] for line in stream if line.strip())
        left = int(faults.get(name, 0))
        if left > 0:
            faults[name] = left - 1
            stream.seek(0)
            stream.truncate()
            stream.writelines(f"{fault} {count}\n" for fault, count in faults.items())
    return left != 0


def ail(command):
    """Let the faults strike that any command can meet."""
    if strikes("hang") or strikes(f"hang:{command}"):
        time.sleep(3600)
    if strikes("no-daemon"):
        raise Failure(
            "Cannot connect to the sandbox daemon: dial unix sandboxd.sock: connect: connection refused"
        )
    if strikes("unknown"):
        raise Failure("ERROR: flux capacitor discharged (code 88)")


# The real docker


def real_docker():
    for folder in os.environ["PATH"].split(os.pathsep):
        found = Path(folder, "docker")
        if os.access(found, os.X_OK) and HERE not in found.resolve().parents:
            return str(found)
    raise Failure("the double needs a real docker behind it on PATH")


def docker(*arguments, check=True, **options):
    done = subprocess.run([real_docker(), *arguments], check=False, **options)
    if check and done.returncode:
        said = done.stderr.decode(errors="replace").strip() if done.stderr else ""
        raise Failure(f"request failed: 500 Internal Server Error: {said}")
    return done


def quietly(*arguments, check=True):
    return (
        docker(*arguments, check=check, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        .stdout.decode()
        .strip()
    )


# Sandboxes


def container(name):
    return f"ccnb-double-{STATE.stat().st_ino}-{name}"


def load(name):
    try:
        return json.loads((STATE / f"{name}.sandbox").read_text())
    except FileNotFoundError:
        raise Failure(f"no sandbox found with name {name}") from None


def save(sandbox):
    scratch = STATE / f"{sandbox['name']}.new"
    scratch.write_text(json.dumps(sandbox))
    scratch.rename(STATE / f"{sandbox['name']}.sandbox")


def everyone():
    found = []
    for file in sorted(STATE.glob("*.sandbox")):
        # Another command may just have removed it.
        with contextlib.suppress(FileNotFoundError):
            found.append(json.loads(file.read_text()))
    return found


def status(sandbox):
    said = quietly("inspect", "-f", "{{.State.Status}}", container(sandbox["name"]), check=False)
    return "running" if said == "running" or strikes("stale") else "stopped"


def create(agent, folders, *, name, template, limits=()):
    """Make a sandbox as a container: the same paths, the user of the template, a proxy to the outside."""
    if strikes("no-kvm"):
        raise Failure(
            "ERROR: failed to start VM: /dev/kvm: no such device: hardware virtualization is required"
        )
    if agent not in AGENTS:
        raise Failure(f"unknown agent {agent!r}")
    name = name or f"{agent}-{Path(folders[0]).resolve().name}"
    if not re.fullmatch(r"[A-Za-z0-9._+-]+", name):
        raise Failure(f"invalid sandbox name {name!r}")
    if (STATE / f"{name}.sandbox").exists():
        raise Failure(f"sandbox {name!r} already exists")
    if strikes("create-fails"):
        raise Failure("ERROR: failed to create sandbox: 500 Internal Server Error: failed to run container")
    folders = [
        str(Path(f.removesuffix(":ro")).resolve()) + (":ro" if f.endswith(":ro") else "") for f in folders
    ]
    for folder in folders:
        if not Path(folder.removesuffix(":ro")).is_dir():
            raise Failure(f"workspace {folder} does not exist")
    sandbox = {"name": name, "agent": agent, "workspaces": folders, "caller": (os.getuid(), os.getgid())}
    save(sandbox)
    try:
        sandbox["proxy"] = start_proxy(name)
        save(sandbox)
        lend(sandbox)
        mounts = [word for f in folders for word in ("-v", f"{f.removesuffix(':ro')}:{f}")]
        quietly(
            *("run", "-d", "--name", container(name), "--hostname", name, "--user", "agent"),
            *("--add-host", "host.docker.internal:host-gateway", "-w", folders[0].removesuffix(":ro")),
            *environment(name, sandbox["proxy"]["port"]),
            *(mounts + list(limits)),
            *(template or TEMPLATE, "sleep", "infinity"),
        )
        if strikes("not-logged-in"):
            file = "/etc/sandbox-persistent.sh"
            script = f"echo 'export ANTHROPIC_API_KEY=proxy-managed' >{file}; echo '. {file}' >>/etc/profile"
            quietly("exec", "--user", "root", container(name), "sh", "-c", script)
    except Failure:
        remove(sandbox)
        raise
    return sandbox


def environment(name, port):
    proxy = f"http://host.docker.internal:{port}"
    given = {
        "SANDBOX_VM_ID": name,
        "HTTP_PROXY": proxy,
        "HTTPS_PROXY": proxy,
        "http_proxy": proxy,
        "https_proxy": proxy,
    }
    given["NO_PROXY"] = given["no_proxy"] = "localhost,127.0.0.1,::1"
    faults = (STATE / "faults").read_text() if (STATE / "faults").exists() else ""
    if secrets().get("anthropic") and "not-logged-in" not in faults:
        given["ANTHROPIC_API_KEY"] = "proxy-managed"
    if "CCNB_DOUBLE_API" in os.environ:
        # TLS is not intercepted here, so the API is asked without, by a name that the agent makes nothing of.
        given["ANTHROPIC_BASE_URL"] = "http://api.anthropic.test"
    return [word for variable in given.items() for word in ("-e", "=".join(variable))]


def stop(sandbox):
    quietly("stop", "-t", "0", container(sandbox["name"]), check=False)
    reclaim(sandbox)


def remove(sandbox):
    quietly("rm", "-f", "-v", container(sandbox["name"]), check=False)
    if "proxy" in sandbox:
        with contextlib.suppress(ProcessLookupError):
            os.kill(sandbox["proxy"]["pid"], signal.SIGTERM)
    reclaim(sandbox)
    for file in STATE.glob(f"{sandbox['name']}.*"):
        file.unlink(missing_ok=True)


def execute(arguments, prog):
    """Run a command in a sandbox; a stopped one is started first."""
    if strikes("exec-breaks"):
        raise Failure("io: read/write on closed pipe")
    parser = Parser(prog)
    for flags in (("-d", "--detach"), ("-i", "--interactive"), ("-t", "--tty"), ("--privileged",)):
        parser.add_argument(*flags, action="store_true")
    for flags in (("-e", "--env"), ("--env-file",)):
        parser.add_argument(*flags, action="append", default=[])
    for flags in (("-u", "--user"), ("-w", "--workdir"), ("--detach-keys",)):
        parser.add_argument(*flags)
    parser.add_argument("name")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args(arguments)
    if given.tty and not sys.stdin.isatty():
        raise Failure("the input device is not a TTY")
    if given.detach and prog == "sbx exec":
        time.sleep(3600)  # docker/sbx-releases#505
    sandbox = load(given.name)
    lend(sandbox)
    quietly("start", container(given.name))
    words = ["exec"]
    words += [
        f"-{flag}" for flag in "dit" if getattr(given, {"d": "detach", "i": "interactive", "t": "tty"}[flag])
    ]
    words += [word for value in given.env for word in ("-e", value)]
    words += [word for value in given.env_file for word in ("--env-file", value)]
    words += ["-w", given.workdir] if given.workdir else []
    words += ["-u", given.user] if given.user else []
    command = given.command[1:] if given.command[:1] == ["--"] else given.command
    return docker(*words, container(given.name), *command, check=False).returncode


def answer(question):
    """Ask as a prompt does; without an answer it is no."""
    print(f"{question} (y/N) ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


# Files: a virtual machine's shared folder shows each side its own user as the owner. Here the owner changes.


def lend(sandbox):
    chown(sandbox, sandbox["caller"], (AGENT_UID, AGENT_UID))


def reclaim(sandbox):
    chown(sandbox, (AGENT_UID, AGENT_UID), sandbox["caller"])


def chown(sandbox, old, new):
    if os.getuid() != 0:
        return
    for folder in sandbox["workspaces"]:
        if folder.endswith(":ro") or not Path(folder).exists():
            continue
        change(folder, old, new)
        for root, folders, files in os.walk(folder):
            for name in (*folders, *files):
                change(Path(root, name), old, new)


def change(path, old, new):
    try:
        found = os.lstat(path)
        owner, group = (
            b if a == c else -1 for a, b, c in zip((found.st_uid, found.st_gid), new, old, strict=True)
        )
        if (owner, group) != (-1, -1):
            os.chown(path, owner, group, follow_symlinks=False)
    except FileNotFoundError:
        pass


def keep_as_template(name, tag):
    """Save a sandbox as a template for others."""
    quietly("commit", container(load(name)["name"]), tag)
    print(f"Saved {tag}")


# The proxy


def start_proxy(name):
    bridge = quietly("network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Gateway}}")
    child = subprocess.Popen(
        [sys.executable, "-S", str(HERE / "proxy.py"), str(STATE), name, bridge or "172.17.0.1"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    return {"pid": child.pid, "port": int(child.stdout.readline())}


def policy():
    """The rules for all sandboxes; `None` before a policy was chosen."""
    file = STATE / "policy.json"
    return json.loads(file.read_text()) if file.exists() and not strikes("no-policy") else None


def allows(sandbox, host, port):
    """Whether a sandbox may reach a host: the two programs weigh their rules in different ways."""
    own = sandbox.get("policy", {})
    return most_specific(own, host, port) if "default" in own else denials_first(own, host, port)


def most_specific(rules, host, port):
    """As `docker sandbox` does: the most specific rule has the last word, and a denial among equal ones."""
    weights = {
        verb: max((weight(p, host, port) for p in rules[verb]), default=-1) for verb in ("allow", "deny")
    }
    if max(weights.values()) < 0:
        return rules["default"] == "allow"
    return weights["allow"] > weights["deny"]


def weight(pattern, host, port):
    """How specific a pattern is that matches; -1 for one that doesn't. Where ranges stand is a guess."""
    if pattern == f"{host}:{port}":
        return 1003
    if pattern == host:
        return 1002
    if in_range(pattern, host):
        return 1001
    if pattern in ("*", "*:443"):
        return {"*": 0, f"*:{port}": 1}.get(pattern, -1)
    return len(pattern) if fnmatch.fnmatchcase(f"{host}:{port}" if ":" in pattern else host, pattern) else -1


def in_range(pattern, host):
    address = "127.0.0.1" if host == "localhost" else host
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(address) in ipaddress.ip_network(pattern)
    return False


def matches(patterns, host, port):
    return any(
        pattern == "**" or any(fnmatch.fnmatchcase(name, pattern) for name in (host, f"{host}:{port}"))
        for pattern in patterns
    )


def denials_first(own, host, port):
    """As `sbx` does: denials go before allowances; a service of this machine needs one of its own."""
    file = STATE / "policy.json"
    rules = json.loads(file.read_text()) if file.exists() else {"default": "allow", "allow": [], "deny": []}
    if matches(rules["deny"] + own.get("deny", []), host, port):
        return False
    if matches(rules["allow"] + own.get("allow", []), host, port):
        return True
    return rules["default"] == "allow" and host not in ("localhost", "127.0.0.1", "::1")


def secrets():
    file = STATE / "secrets.json"
    return json.loads(file.read_text()) if file.exists() else {}


def log(name=None):
    files = [STATE / f"{name}.log"] if name else sorted(STATE.glob("*.log"))
    return [json.loads(line) for file in files if file.exists() for line in file.read_text().splitlines()]


def show_log(value):
    print(json.dumps({"version": 2, "rows": []} if strikes("odd-log") else value, indent=2))


def hand_over(arguments):
    """Become the real docker."""
    program = real_docker()
    os.execv(program, [program, *arguments])  # noqa: S606 - no shell is wanted
