#include leader-address.sh
#include pipeline-parallel.sh
shutdown_timeout={{ shutdownTimeout .Template 15 }}
#include serve.sh
