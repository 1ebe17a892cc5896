#!/usr/bin/env bash
# What the tests use: docker and podman (each rootful and rootless), bubblewrap, a base image, a browser.
#
#   tools/engines.sh              install, start, make the base image; a second run takes seconds
#   tools/engines.sh share IMAGE  copy one image (a short name) from docker into the other engines
#   tools/engines.sh stop         stop what an earlier run started, and nothing else
#
# It changes a machine only where it is root on Debian; elsewhere it says what is missing.
set -euo pipefail

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
STATE=/run/ccnb-engines
LOGS=/var/log/ccnb-engines
DOCKER_SOCKET=/var/run/docker.sock
PODMAN_SOCKET=/run/podman/podman.sock
TESTER=ccnbtest
TESTER_UID=1234
BASE_IMAGE=node:22-slim
DEBIAN_IMAGE=debian:bookworm-slim

say() { printf '%s\n' "$*"; }
die() { say "engines: $*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# --- elsewhere: look, and change nothing -------------------------------------------------------

can_install() {
  [ "$(id -u)" = 0 ] && grep -qsx 'ID=debian' /etc/os-release
}

report_missing() {
  say "engines: nothing is installed or started here (that needs root on Debian)"
  local row command hint
  for row in \
    'docker|Docker Engine, Docker Desktop, OrbStack or Colima' \
    'podman|Podman' \
    'bwrap|the package bubblewrap (Linux only)' \
    'chromium|Chromium, on the PATH as chromium' \
    'git|Git'; do
    command=${row%%|*} hint=${row#*|}
    if have "$command"; then say "$command: found"; else say "$command: missing; install $hint"; fi
  done
}

# --- packages ----------------------------------------------------------------------------------

# need COMMAND:PACKAGE...  Looks for the command, not the package: a docker from elsewhere stays.
need() {
  local pair missing=()
  for pair in "$@"; do
    have "${pair%%:*}" || missing+=("${pair#*:}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "engines: installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q >"$LOGS/apt.log" 2>&1 || die "apt-get update failed, see $LOGS/apt.log"
  apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=120 "${missing[@]}" \
    >>"$LOGS/apt.log" 2>&1 || die "apt-get install failed, see $LOGS/apt.log"
}

install_packages() {
  # docker-init (tini) and catatonit are what --init runs; newuidmap, slirp4netns, fuse-overlayfs
  # and rootlesskit are for the rootless engines.
  need dockerd:docker.io docker:docker.io docker-init:tini iptables:iptables docker-registry:docker-registry \
    podman:podman crun:crun runc:runc catatonit:catatonit slirp4netns:slirp4netns \
    newuidmap:uidmap fuse-overlayfs:fuse-overlayfs rootlesskit:rootlesskit \
    bwrap:bubblewrap git:git debootstrap:debootstrap update-ca-certificates:ca-certificates \
    chromium:chromium faketime:faketime
}

# --- processes, known by id --------------------------------------------------------------------

# A process id is reused in time; the id together with its start time is not.
started_at() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

# start NAME COMMAND...  A session of its own lets it outlive this script and its terminal.
start() {
  local name=$1 pid
  shift
  # Not in our folder: conmon leaves its notes where it stands.
  (cd / && exec setsid "$@") >"$LOGS/$name.log" 2>&1 </dev/null &
  pid=$!
  say "$pid $(started_at "$pid")" >"$STATE/$name.pid"
}

# running NAME  Prints the process id if what `start` started is still there.
running() {
  local pid since
  read -r pid since 2>/dev/null <"$STATE/$1.pid" || return 1
  [ -n "$since" ] && [ "$since" = "$(started_at "$pid")" ] && say "$pid"
}

# stop NAME  The whole process group: rootless podman works in a child of what was started.
stop() {
  local name=$1 pid tries
  if pid=$(running "$name"); then
    kill -- "-$pid"
    for tries in {1..150}; do
      pgrep -g "$pid" >/dev/null || break
      sleep 0.1
    done
    [ "$tries" -lt 150 ] || die "$name (process $pid) does not end"
    say "$name: stopped (process $pid)"
  fi
  rm -f "$STATE/$name.pid"
}

# answers SOCKET  Prints the version of the engine there.
answers() {
  timeout 5 docker -H "unix://$1" version --format '{{.Server.Version}}' 2>/dev/null
}

wait_for() {
  local name=$1 socket=$2 tries
  for tries in {1..150}; do
    answers "$socket" >/dev/null && return 0
    sleep 0.2
  done
  tail -n 20 "$LOGS/$name.log" >&2 || true
  die "$name did not come up at $socket (log: $LOGS/$name.log)"
}

# --- docker ------------------------------------------------------------------------------------

start_docker() {
  answers "$DOCKER_SOCKET" >/dev/null && return 0
  if ! pgrep -x -u root dockerd >/dev/null; then
    # Left by a daemon that was killed: a new one refuses to start if that id is in use again.
    rm -f /var/run/docker.pid /var/run/docker/containerd/containerd.pid
    start docker dockerd
  fi
  wait_for docker "$DOCKER_SOCKET"
}

# --- podman ------------------------------------------------------------------------------------

# runc: crun refuses a machine that mixes cgroup v1 and v2. cgroupfs and file: nothing here may
# need systemd. The limits: podman's own defaults are above what a restricted root may grant.
podman_conf() {
  cat <<'CONF'
# Written by ccnb's tools/engines.sh
[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:8192"]

[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
}

start_podman() {
  answers "$PODMAN_SOCKET" >/dev/null && return 0
  # A configuration that is there is somebody's: it stays.
  [ -e /etc/containers/containers.conf ] || podman_conf >/etc/containers/containers.conf
  mkdir -p "${PODMAN_SOCKET%/*}"
  start podman podman system service --time=0 "unix://$PODMAN_SOCKET"
  wait_for podman "$PODMAN_SOCKET"
}

make_tester() {
  id "$TESTER" >/dev/null 2>&1 && return 0
  local uid=()
  getent passwd "$TESTER_UID" >/dev/null || uid=(--uid "$TESTER_UID")
  useradd --create-home --shell /bin/bash "${uid[@]}" "$TESTER"
}

# Sets AS_TESTER, the words that run a command as the test user with nothing of root's environment.
describe_tester() {
  local home
  home=$(getent passwd "$TESTER" | cut -d : -f 6)
  TESTER_RUN=/run/user/$(id -u "$TESTER")
  TESTER_SOCKET=$TESTER_RUN/podman/podman.sock
  TESTER_DOCKER=$TESTER_RUN/docker.sock
  TESTER_CONF=$home/.config/containers
  AS_TESTER=(setpriv --reuid="$TESTER" --regid="$TESTER" --init-groups
    env -i -C / HOME="$home" USER="$TESTER" XDG_RUNTIME_DIR="$TESTER_RUN"
    PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin)
}

# udev gives these to everybody. Without it they are root's alone, and rootless podman has no
# network.
open_devices() {
  local device
  for device in /dev/fuse /dev/net/tun; do
    [ ! -c "$device" ] || chmod 0666 "$device"
  done
}

make_tester_run() {
  open_devices
  mkdir -p /run/user
  install -d -m 0700 -o "$TESTER" -g "$TESTER" "$TESTER_RUN" "$TESTER_RUN/podman"
}

# Debian keeps Docker's own script for this among the examples.
start_rootless_docker() {
  answers "$TESTER_DOCKER" >/dev/null && return 0
  local script
  script=$(PATH=$PATH:/usr/share/docker.io/contrib command -v dockerd-rootless.sh) ||
    die "no dockerd-rootless.sh is here; install the rest of Docker"
  make_tester_run
  start docker-rootless "${AS_TESTER[@]}" DOCKERD_ROOTLESS_ROOTLESSKIT_PORT_DRIVER=none \
    DOCKERD_ROOTLESS_ROOTLESSKIT_SLIRP4NETNS_SANDBOX=false \
    sh "$script" --storage-driver fuse-overlayfs -H "unix://$TESTER_DOCKER"
  wait_for docker-rootless "$TESTER_DOCKER"
}

start_rootless_podman() {
  answers "$TESTER_SOCKET" >/dev/null && return 0
  make_tester_run
  "${AS_TESTER[@]}" mkdir -p "$TESTER_CONF"
  podman_conf | "${AS_TESTER[@]}" tee "$TESTER_CONF/containers.conf" >/dev/null
  # Left to itself Debian's podman takes vfs here, which copies a whole image for each container.
  printf '[storage]\ndriver = "overlay"\n' |
    "${AS_TESTER[@]}" tee "$TESTER_CONF/storage.conf" >/dev/null
  start podman-rootless "${AS_TESTER[@]}" podman system service --time=0 "unix://$TESTER_SOCKET"
  wait_for podman-rootless "$TESTER_SOCKET"
}

# Rootless podman keeps a process of its own to hold the user's namespace; it outlives the service.
stop_rootless_podman() {
  local pid ours
  ours=$(running podman-rootless) || ours=
  stop podman-rootless
  [ -n "$ours" ] || return 0
  pid=$(cat "$TESTER_RUN/libpod/tmp/pause.pid" 2>/dev/null) || return 0
  if [ "$(ps -o user= -p "$pid")" = "$TESTER" ]; then kill "$pid"; fi
}

# --- images ------------------------------------------------------------------------------------

in_docker() { DOCKER_BUILDKIT=0 docker -H "unix://$DOCKER_SOCKET" "$@"; }

# image_id ENGINE...  Prints the id $IMAGE has there, nothing if it is not there.
image_id() {
  "$@" image inspect --format '{{.Id}}' "$IMAGE" 2>/dev/null | sed 's/^sha256://' || true
}

# copy_to PODMAN...  Brings $IMAGE there unless it has it: $id. Loading names it localhost/...,
# building through the socket docker.io/library/...: two images of one short name. The second stays.
copy_to() {
  [ "$(image_id "$@")" != "$id" ] || return 0
  in_docker save "$IMAGE" | "$@" load -q >/dev/null
  "$@" tag "$id" "docker.io/library/$IMAGE"
  "$@" untag "$id" "localhost/$IMAGE" 2>/dev/null || true
}

copy_to_rootless_docker() {
  local there=(docker -H "unix://$TESTER_DOCKER")
  [ "$(image_id "${there[@]}")" != "$id" ] || return 0
  in_docker save "$IMAGE" | "${there[@]}" load -q >/dev/null
}

# share IMAGE  The id is a digest of the image's content, the same in every engine.
share() {
  IMAGE=$1
  local id
  id=$(image_id in_docker)
  [ -n "$id" ] || die "docker has no image $IMAGE"
  copy_to podman &
  copy_to "${AS_TESTER[@]}" podman
  copy_to_rootless_docker
  wait $!
}

make_debian_image() {
  local root=$1
  debootstrap --variant=minbase --include=ca-certificates bookworm "$root" >"$LOGS/debootstrap.log" ||
    die "debootstrap failed, see $LOGS/debootstrap.log"
  # What the official slim image leaves out too, now and in later installations.
  rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* \
    "$root"/usr/share/{doc,man,info,locale}/*
  printf 'path-exclude /usr/share/%s/*\n' doc man info locale >"$root/etc/dpkg/dpkg.cfg.d/slim"
  tar -C "$root" -c . | in_docker import - "$DEBIAN_IMAGE" >/dev/null
}

# fetch_node DIR  Node's program and npm, out of npm packages.
fetch_node() {
  local dir=$1 arch
  case $(uname -m) in
    x86_64) arch=x64 ;;
    aarch64) arch=arm64 ;;
    *) die "no node package is known for $(uname -m)" ;;
  esac
  need npm:npm
  (cd "$dir" && npm pack --silent "node-linux-$arch@22" npm@10 >/dev/null)
  tar -C "$dir" -xzf "$dir"/node-linux-*.tgz --strip-components=2 package/bin/node
  mkdir "$dir/npm"
  tar -C "$dir/npm" -xzf "$dir"/npm-*.tgz --strip-components=1
}

# The official image's layout: user node (1000), programs under /usr/local, the same entry point.
# The machine's certificates go in, for networks that re-sign traffic.
build_node_image() {
  local dir=$1
  cp /etc/ssl/certs/ca-certificates.crt "$dir/ca-bundle.pem"
  cat >"$dir/docker-entrypoint.sh" <<'SCRIPT'
#!/bin/sh
set -e
# An option, or what is no command: for node.
if [ "${1#-}" != "$1" ] || [ -z "$(command -v "$1")" ]; then set -- node "$@"; fi
exec "$@"
SCRIPT
  chmod 0755 "$dir/docker-entrypoint.sh" "$dir/node"
  cat >"$dir/Dockerfile" <<DOCKERFILE
FROM $DEBIAN_IMAGE
COPY node docker-entrypoint.sh /usr/local/bin/
COPY npm /usr/local/lib/node_modules/npm
COPY ca-bundle.pem /usr/local/share/ca-bundle.pem
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \\
 && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx \\
 && useradd --create-home --uid 1000 --shell /bin/bash node
ENV NODE_EXTRA_CA_CERTS=/usr/local/share/ca-bundle.pem
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["node"]
DOCKERFILE
  printf '%s\n' '*.tgz' Dockerfile >"$dir/.dockerignore"
  in_docker build -t "$BASE_IMAGE" "$dir" >"$LOGS/build.log" 2>&1 ||
    die "building $BASE_IMAGE failed, see $LOGS/build.log"
}

make_base_image() {
  IMAGE=$BASE_IMAGE
  [ -z "$(image_id in_docker)" ] || return 0
  # Where a registry can be reached, the real one.
  timeout 300 docker -H "unix://$DOCKER_SOCKET" pull -q "$BASE_IMAGE" >/dev/null 2>&1 && return 0
  say "engines: making $BASE_IMAGE here, no registry has it"
  local work
  work=$(mktemp -d)
  # shellcheck disable=SC2064  # the folder's name, not the variable: that is gone at the exit
  trap "rm -rf '$work'" EXIT
  mkdir "$work/root" "$work/node"
  make_debian_image "$work/root"
  fetch_node "$work/node"
  build_node_image "$work/node"
}

# --- the whole ---------------------------------------------------------------------------------

report_ready() {
  say "docker $(answers "$DOCKER_SOCKET") ready at unix://$DOCKER_SOCKET"
  say "docker $(answers "$TESTER_DOCKER") ready at unix://$TESTER_DOCKER (rootless, user $TESTER)"
  say "podman $(answers "$PODMAN_SOCKET") ready at unix://$PODMAN_SOCKET"
  say "podman $(answers "$TESTER_SOCKET") ready at unix://$TESTER_SOCKET (rootless, user $TESTER)"
  say "$(bwrap --version) ready"
  say "$(chromium --version 2>/dev/null) ready"
  say "$BASE_IMAGE ready in each engine"
}

main() {
  install_packages
  start_docker
  start_podman
  make_tester
  describe_tester
  start_rootless_podman
  start_rootless_docker
  make_base_image
  share "$BASE_IMAGE"
  report_ready
}

case "${1:-start}" in start | share | stop) ;; *) die "usage: $0 [start | share IMAGE | stop]" ;; esac
if ! can_install; then
  report_missing
  exit 0
fi
mkdir -p "$STATE" "$LOGS"
# One at a time. -o: the lock stays with this script, no daemon inherits it.
if [ -z "${CCNB_ENGINES_LOCKED:-}" ]; then
  CCNB_ENGINES_LOCKED=1 exec flock -o "$STATE/lock" bash "$0" "$@"
fi
case "${1:-start}" in
  start) main ;;
  share)
    describe_tester
    share "${2:?an image is needed}"
    ;;
  stop)
    ! id "$TESTER" >/dev/null 2>&1 || { describe_tester && stop_rootless_podman; }
    stop docker-rootless
    stop podman
    stop docker
    ;;
esac
