# Address of the group's leader. Its DNS name may appear later than this pod; the name itself is the last resort.
leader_address() {
  local attempt address
  for ((attempt = 0; attempt < ${DP_ADDRESS_RESOLVE_ATTEMPTS:-30}; attempt++)); do
    address=$(getent hosts "$LWS_LEADER_ADDRESS" | awk '{ print $1; exit }')
    if [ -n "$address" ]; then
      echo "$address"
      return
    fi
    sleep 1
  done
  echo "$LWS_LEADER_ADDRESS"
}
