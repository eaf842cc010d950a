#include leader-address.sh
#include data-parallel.sh
engine+=(--headless --data-parallel-start-rank $((${LWS_WORKER_INDEX:-0} * {{ or .Parallelism.DataLocal 1 }})))
shutdown_timeout={{ shutdownTimeout .Worker 15 }}
#include serve.sh
