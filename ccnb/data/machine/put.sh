# Take a part of the archive that holds the files of a run; with the last part, unpack it and say go.
#
#   put.sh NUMBER COUNT SUM       the part comes on standard input, in base64
#
# Doing it twice does no harm. It prints the part's sum, which the sender compares. It may come before the
# machine's first process has made its folders.
mkdir -pm 700 /run/ccnb && cd /run/ccnb || exit 1
# One at a time: whoever got no answer sends the part again while this may still be at it.
exec 9>lock
! command -v flock >/dev/null || flock 9
[ ! -e go ] || { echo "$3"; exit 0; }
base64 -d >"part.$1" || exit 1
sum=$(sha256sum <"part.$1" | cut -d ' ' -f 1)
echo "$sum"
[ "$sum" = "$3" ] || exit 0
[ "$(($1 + 1))" -eq "$2" ] || exit 0
n=0
while [ "$n" -lt "$2" ]; do
    cat "part.$n" || exit 1
    n=$((n + 1))
done | tar -xzp --numeric-owner -C / || exit 1
rm -f part.*
# What changes from here on is newer than this file; boot.sh waits until that can be told.
touch go
