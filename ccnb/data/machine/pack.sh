# Pack the run folder and what is new in the workspace; print SIZE, SUM and the first PART bytes in base64,
# or nothing while it isn't done.
#
#   pack.sh UID NAME PART
#
# NAME tells one packing from another: each is done once, however often it is asked for.
as="setpriv --reuid=$1 --regid=$1 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all"
# The agent's user reads here and can't write.
mkdir -p /run/ccnb-out && cd /run/ccnb-out || exit 1
pack() {
    (cd /workspace && find . -mindepth 1 -print0) >"$1/names"
    # Packed by the agent's user: it can read nothing that the agent could not.
    (cd / && find workspace -mindepth 1 -cnewer /run/ccnb/go -print0) |
        $as tar -cz --ignore-failed-read --hard-dereference -C "$PWD/$1" names -C / ccnb \
            --no-recursion --null -T - >"$1/part" 2>/dev/null
    mv "$1/part" "$1/archive"
    { wc -c <"$1/archive"; sha256sum <"$1/archive" | cut -d ' ' -f 1; } | tr '\n' ' ' >"$1/part"
    mv "$1/part" "$1/done"
}
if mkdir "$2" 2>/dev/null; then
    pack "$2" >/dev/null 2>&1 </dev/null &
fi
n=0
while [ ! -e "$2/done" ] && [ "$n" -lt 100 ]; do
    sleep 0.1
    n=$((n + 1))
done
[ ! -e "$2/done" ] || { cat "$2/done"; head -c "$3" "$2/archive" | base64 | tr -d '\n'; }
