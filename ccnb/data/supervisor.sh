#!/bin/sh
# Runs set-up, agent and check in the place, one after the other, and outlives whoever started it.
#
#   supervisor.sh INSIDE WORKSPACE TIMEOUT_S KEEP_S LIFETIME_S COMMAND [ARGUMENT...]
#
# INSIDE is the part of the run folder that the place sees. It holds `prompt` and, where wanted, `setup`
# and `check` (shell scripts), and `relay.mjs` where the place has a list of hosts. Written there: `out` and
# `err` (the agent's), `setup.out`, `check.out`, `relay.err`, `heartbeat` (seconds, once a second), and
# `steps`, one line for each thing that came to pass:
#
#   NAME TIME CODE REASON       by the place's own clock; REASON is exit, timeout, stopped or oom
#
# A file `stop` made there ends the agent and all that follows, `enough` the agent alone, `done` ends the
# wait that follows when KEEP_S > 0. After LIFETIME_S everything ends, whatever became of this script.
# Everything is in functions: the shell has read the whole file before the agent can change it.

note() {
    # macOS's date has no %N and prints the letter.
    time=$(date +%s.%N)
    printf '%s %s %s %s\n' "$1" "${time%N}" "${2:-0}" "${3:-exit}" >>"$inside/steps"
}

# Signal the whole group of a job; a shell without job control and setsid has only the job itself.
signal() {
    kill "-$1" "-$2" 2>/dev/null || kill "-$1" "$2" 2>/dev/null
}

# watch JOB LIMIT_S: beat once a second, end the job at its limit or on request.
watch() {
    end=$(($(date +%s) + $2))
    while sleep 1; do
        now=$(date +%s)
        echo "$now" >"$inside/heartbeat"
        # What was meant for the agent may come when that has just ended by itself.
        if [ -e "$inside/stop" ] || { [ "$name" = agent ] && [ -e "$inside/enough" ]; }; then
            reason=stopped
        elif [ "$now" -ge "$end" ]; then
            reason=timeout
        else
            continue
        fi
        echo "$reason" >"$inside/reason"
        signal TERM "$1"
        sleep 5
        signal KILL "$1"
        return
    done
}

# Ask the kernel itself whether the place ran out of memory: engines don't always notice.
out_of_memory() {
    cat /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control 2>/dev/null |
        grep -q 'oom_kill [1-9]' && return
    # A machine with a kernel of its own has no such files, but a count since its start.
    [ -n "$CCNB_OOM_KILLS" ] && [ "$(sed -n 's/^oom_kill //p' /proc/vmstat)" -gt "$CCNB_OOM_KILLS" ]
}

# step NAME LIMIT_S COMMAND...: run it in a session of its own, bounded; note how it ended. Its input
# is descriptor 3, since a shell gives whatever runs in the background no other than /dev/null.
step() {
    name=$1 limit=$2
    shift 2
    [ ! -e "$inside/reason" ] || rm -f "$inside/reason"
    $session "$@" <&3 3<&- &
    job=$!
    watch "$job" "$limit" 3<&- >/dev/null 2>&1 &
    watcher=$!
    wait "$job"
    code=$?
    kill "$watcher" 2>/dev/null
    reason=exit
    if [ -e "$inside/reason" ]; then
        read -r reason <"$inside/reason"
        signal KILL "$job"
    elif [ "$code" -eq 137 ] && out_of_memory; then
        reason=oom
    fi
    note "$name" "$code" "$reason"
}

# The caller left a file in its workspace. Seeing it shows that this is the folder, removing it that
# the agent can write there.
find_workspace() {
    sentinel=$workspace/.ccnb-sentinel
    [ -e "$inside/sentinel" ] || return 0
    if [ ! -e "$sentinel" ]; then
        note workspace 1 missing
    elif ! rm -f "$sentinel" 2>/dev/null; then
        note workspace 1 readonly
    else
        return 0
    fi
    return 1
}

# Start the relay to the egress proxy; it ends with the place. The agent itself can run it, being a Bun
# program, which takes options from a variable; else node does, where the image has it.
relay() {
    program=$inside/relay.mjs
    relay_by env BUN_OPTIONS="--preload $program" claude --version || relay_by node "$program"
}

relay_by() {
    rm -f "$inside/relay.failed"
    (
        # Elsewhere than in the workspace, whose settings for Bun and Node are not for the relay.
        cd / && "$@" </dev/null >>"$inside/relay.err" 2>&1
        : >"$inside/relay.failed"
    ) &
    tries=0
    until [ -e "$inside/relay.ready" ]; do
        [ ! -e "$inside/relay.failed" ] && [ "$tries" -lt 500 ] || return 1
        tries=$((tries + 1))
        sleep 0.02
    done
}

linger() {
    end=$(($(date +%s) + keep_s))
    while [ ! -e "$inside/done" ] && [ "$(date +%s)" -lt "$end" ]; do
        date +%s >"$inside/heartbeat"
        sleep 1
    done
}

# Should this script be stopped or stuck, its end still comes, and the place's with it.
guard() {
    $session sh -c 'sleep "$0"; kill -9 "$1"' "$1" "$$" </dev/null >/dev/null 2>&1 &
    guard=$!
}

work() {
    cd "$workspace" || { note workspace 1 missing; return; }
    find_workspace || return
    if [ -e "$inside/setup" ]; then
        step setup "$timeout_s" sh "$inside/setup" 3</dev/null >>"$inside/setup.out" 2>&1
        [ "$code" -eq 0 ] || return
    fi
    step agent "$timeout_s" "$@" 3<"$inside/prompt" >>"$inside/out" 2>>"$inside/err"
    if [ -n "$check" ] && [ ! -e "$inside/stop" ]; then
        # Whatever the agent has put there: it must not keep the check from being done.
        rm -rf "$inside/check.out"
        step check "$timeout_s" sh -c "$check" 3</dev/null >>"$inside/check.out" 2>&1
    fi
}

main() {
    inside=$1 workspace=$2 timeout_s=$3 keep_s=$4 lifetime_s=$5
    shift 5
    # Read before the agent can write another one.
    check=
    [ ! -e "$inside/check" ] || check=$(cat "$inside/check")
    session=
    if command -v setsid >/dev/null 2>&1; then
        session=setsid
    else
        set -m 2>/dev/null
    fi
    guard "$lifetime_s"
    if [ -e "$inside/relay.mjs" ] && ! relay; then
        note relay 1 missing
    else
        note started
        work "$@"
    fi
    note finished
    [ "$keep_s" -eq 0 ] || linger
    signal KILL "$guard"
}

main "$@"
exit
