# Starts the engine. Set before: `engine` (arguments of this preset), `shutdown_timeout` in seconds, `kv_transfer` (shell words).
engine_version() {
  local version
  version=$(python3 -c 'from importlib.metadata import version; print(version("vllm"))' 2>/dev/null) ||
    version=$(vllm --version 2>/dev/null | tail -n 1)
  echo "${version##* }"
}
version=$(engine_version)

since() {
  [[ $version =~ ^[0-9]+\.[0-9]+ ]] && [ "$(printf '%s\n' "$1" "$version" | sort -V | head -n 1)" = "$1" ]
}

if since 0.16.0; then
  engine+=(--disable-access-log-for-endpoints /health,/metrics,/ping)
else
  engine+=(--disable-uvicorn-access-log)
fi
if since 0.18.0; then engine+=(--shutdown-timeout "$shutdown_timeout"); fi
given="${VLLM_ADDITIONAL_ARGS:-} $*"
if ! since 0.22.0 || [[ $given =~ --kv[-_]transfer[-_]config ]]; then kv_transfer=''; fi
{{ if $.GlobalConfig.EnableTLS }}engine+=(
  --enable-ssl-refresh
  --ssl-certfile /var/run/kserve/tls/tls.crt
  --ssl-keyfile /var/run/kserve/tls/tls.key
)
{{ end }}
#include roce.sh

# VLLM_ADDITIONAL_ARGS and the container's args are shell words: quotes in them are read once more.
eval "words=($kv_transfer $given
)" || {
  echo 'VLLM_ADDITIONAL_ARGS and args must be words that a shell can read; quote JSON values' >&2
  exit 2
}
exec vllm serve "${engine[@]}" "${words[@]}"
