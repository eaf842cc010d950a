# With KSERVE_INFER_ROCE=true: point NCCL, NVSHMEM and UCX at the active RoCE adapters and at the GID index most of them use.
infiniband=/sys/class/infiniband

roce_port_matches() {
  grep -qs ACTIVE "$1/ports/1/state" && grep -qs "$2" "$1"/ports/1/gid_attrs/types/*
}

# First GID index of an adapter whose type matches and whose address is IPv4 (mapped: contains ffff:).
roce_gid_index() {
  local type index
  for type in "$1"/ports/1/gid_attrs/types/*; do
    index=${type##*/}
    if grep -qs "$2" "$type" && grep -qs ffff: "$1/ports/1/gids/$index"; then
      echo "$index"
      return
    fi
  done
}

infer_roce() {
  local pattern=${KSERVE_INFER_IB_GID_INDEX_GREP:-RoCE v2} path name index ports='' names='' best=''
  local -A votes=()
  grep -s . "$infiniband"/*/ports/*/gids/* "$infiniband"/*/ports/*/gid_attrs/types/* /proc/driver/nvidia/params
  for path in "$infiniband"/mlx5_*; do
    roce_port_matches "$path" "$pattern" || continue
    name=${path##*/}
    names+=${names:+,}$name
    ports+=${ports:+,}$name:1
    index=$(roce_gid_index "$path" "$pattern")
    if [ -n "$index" ]; then votes[$index]=$((${votes[$index]:-0} + 1)); fi
  done
  if [ -z "$names" ]; then
    echo "RoCE: no active adapter matches '$pattern'"
    return
  fi
  export NCCL_IB_HCA=${NCCL_IB_HCA:-$names} NVSHMEM_HCA_LIST=${NVSHMEM_HCA_LIST:-$ports}
  export UCX_NET_DEVICES=${UCX_NET_DEVICES:-$ports}
  # Index 3 goes first, so that it wins a tie.
  for index in 3 "${!votes[@]}"; do
    if [ "${votes[$index]:-0}" -gt "${votes[${best:-none}]:-0}" ]; then best=$index; fi
  done
  best=${NCCL_IB_GID_INDEX:-$best}
  if [ -z "$best" ]; then
    echo "RoCE: no adapter has an IPv4 GID of type '$pattern'"
    return
  fi
  export NCCL_IB_GID_INDEX=$best NVSHMEM_IB_GID_INDEX=${NVSHMEM_IB_GID_INDEX:-$best}
  export UCX_IB_GID_INDEX=${UCX_IB_GID_INDEX:-$best}
  echo "RoCE: adapters $NCCL_IB_HCA, GID index $NCCL_IB_GID_INDEX"
}

if [ "${KSERVE_INFER_ROCE:-}" = true ]; then infer_roce; fi
