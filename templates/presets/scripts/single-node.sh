engine=(
  /mnt/models
  --served-model-name {{ shellQuote $.Spec.Model.Name }} publishers/{{ $.Namespace }}/models/{{ shellQuote $.Spec.Model.Name }}
  --port "$port"
{{ if and .Parallelism .Parallelism.Tensor }}  --tensor-parallel-size {{ .Parallelism.Tensor }}
{{ end }}{{ if and .Parallelism .Parallelism.Pipeline }}  --pipeline-parallel-size {{ .Parallelism.Pipeline }}
{{ end }})
shutdown_timeout={{ shutdownTimeout .Template 15 }}
kv_transfer="{{ kvTransferConfig .KVCacheOffloading }}"
#include serve.sh
