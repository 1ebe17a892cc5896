# get.sh HOST:PORT CA: the same by openssl, for a place without node.
rest=${HTTPS_PROXY#http://}
user=${rest%%:*} rest=${rest#*:}
proxy="-proxy ${rest#*@} -proxy_user $user -proxy_pass pass:${rest%%@*}"
printf 'GET / HTTP/1.0\r\n\r\n' | timeout 20 openssl s_client -quiet -connect "$1" -CAfile "$2" $proxy 2>&1
