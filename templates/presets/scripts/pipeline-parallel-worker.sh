#include leader-address.sh
#include pipeline-parallel.sh
engine+=(--headless)
shutdown_timeout={{ shutdownTimeout .Worker 15 }}
#include serve.sh
