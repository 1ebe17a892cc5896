# The first process of a machine far away; it is root, and the agent isn't.
#
#   boot.sh UID FILES_LIMIT_S LIFETIME_S
#
# It waits for the files of the run (/run/ccnb/go), runs the supervisor as UID, and ends with it: the machine
# ends then. Where the results are to be pushed, that is done at the end of agent and check, and has had its
# time before the machine ends. What it prints goes to the platform's log: steps only, nothing of the agent's.
umask 022
mkdir -p /run/ccnb /ccnb /workspace
chmod 700 /run/ccnb
chown "$1:$1" /ccnb /workspace
as="setpriv --reuid=$1 --regid=$1 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all"
echo "ccnb: waiting for the files of the run"
end=$(($(date +%s) + $2))
until [ -e /run/ccnb/go ]; do
    if [ "$(date +%s)" -ge "$end" ]; then
        echo "ccnb: no files came"
        exit 3
    fi
    sleep 0.2
done
# What changes from here on must be newer than that file, and the clock by which files are dated stands still
# for some milliseconds at a time; or it was set back, and is not waited for long.
tries=0
until touch /run/ccnb/begun && [ -n "$(find /run/ccnb/begun -cnewer /run/ccnb/go)" ] || [ "$tries" -ge 500 ]; do
    sleep 0.01
    tries=$((tries + 1))
done
echo "ccnb: begun"
cd /
CCNB_OOM_KILLS=$(sed -n 's/^oom_kill //p' /proc/vmstat)
export CCNB_OOM_KILLS
$as sh -c 'exec tail -n +1 -F /ccnb/steps' 2>/dev/null | sed -u 's/^/ccnb: /' &
uid=$1 lifetime_s=$3 pushing=
# Quoted for a shell by whoever wrote it.
eval "set -- $(cat /run/ccnb/command)"
push=/run/ccnb/push
if [ -e "$push/url" ]; then
    (
        # The agent could have put anything there, even what never ends to be read.
        until [ -e "$push/now" ] || timeout 5 $as grep -qs '^finished ' /ccnb/steps; do
            sleep 1
        done
        timeout -k 5 900 sh "$push/push.sh" "$uid" "$(cat "$push/run")"
    ) &
    pushing=$!
fi
timeout -k 10 "$lifetime_s" $as sh "$@"
code=$?
if [ -n "$pushing" ]; then
    touch "$push/now"
    wait "$pushing"
fi
echo "ccnb: ended $code"
exit "$code"
