#include leader-address.sh
#include data-parallel.sh
engine+=(--api-server-count "${VLLM_API_SERVER_COUNT:-8}" --data-parallel-start-rank 0)
shutdown_timeout={{ shutdownTimeout .Template 15 }}
#include serve.sh
