# Print a part of a packed archive, in base64.
#
#   get.sh NAME OFFSET SIZE
tail -c +"$(($2 + 1))" "/run/ccnb-out/$1/archive" | head -c "$3" | base64 | tr -d '\n'
