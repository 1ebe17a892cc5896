# Push the workspace as it is now to a branch, so that the results need neither us nor the machine.
#
#   push.sh UID RUN
#
# It is run by root in its own folder, which the agent's user can't look into: `url`, `branch`, `token`,
# and maybe `base`, the commit that the workspace had. A branch that has moved on is left as it is: then,
# and where none was named, the branch is ccnb/RUN. How it went is in `state`: `pushed BRANCH COMMIT`,
# `trying WORDS` or `failed WORDS`.
cd "${0%/*}" || exit 1
umask 077
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
url=$(cat url) named=$(cat branch) own=ccnb/$2

tell() {
    echo "$*" >state.new
    mv state.new state
}

# Nothing but our own settings counts: no file of the agent's, and no other host is given the token.
run() {
    env -i PATH="$PATH" HOME="$PWD" GIT_ASKPASS="$PWD/askpass" GIT_TERMINAL_PROMPT=0 \
        GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null \
        GIT_AUTHOR_NAME=ccnb GIT_AUTHOR_EMAIL=ccnb@localhost \
        GIT_COMMITTER_NAME=ccnb GIT_COMMITTER_EMAIL=ccnb@localhost \
        git --git-dir="$PWD/git" --work-tree="$PWD/tree" -c core.hooksPath=/dev/null \
        -c http.followRedirects=false -c gc.auto=0 "$@" 2>>words
}

# Read by the agent's user: it can read nothing that the agent could not. A repository inside is files.
copy() {
    mkdir tree
    setpriv --reuid="$1" --regid="$1" --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all \
        tar -c --ignore-failed-read --exclude=.git -C /workspace . 2>>words |
        tar -x --no-same-owner -C tree 2>>words
}

commit() {
    run init --quiet || return
    # Bytes as they are, whatever the workspace's own attributes ask for.
    echo '* -text -filter -ident -working-tree-encoding' >git/info/attributes
    parent=
    if [ -s base ] && run fetch --quiet --depth=1 "$url" "$(cat base)"; then
        parent="-p $(cat base)"
    fi
    run add --all --ignore-errors
    tree=$(run write-tree) || return
    commit=$(echo "Results of run ${own#ccnb/}" | run commit-tree $parent "$tree")
}

push() {
    for branch in ${named:+"$named"} "$own"; do
        run push --quiet "$url" "$commit:refs/heads/$branch" && return
    done
    return 1
}

why() {
    grep -a . words | tail -n 1 | cut -c 1-300
}

tell trying
if ! command -v git >/dev/null; then
    tell failed "the image has no git"
elif ! { copy "$1" && commit; }; then
    tell failed "no commit could be made: $(why)"
else
    # Whoever is away for a minute is there again later, and nobody else may come for the results.
    for pause_s in 5 30 120 0; do
        if push; then
            tell pushed "$branch" "$commit"
            break
        fi
        tell trying "$(why)"
        [ "$pause_s" -gt 0 ] || tell failed "$(why)"
        sleep "$pause_s"
    done
fi
rm -rf token git tree
read -r word rest <state
echo "ccnb: push $word"
