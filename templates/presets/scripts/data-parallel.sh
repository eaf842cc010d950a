engine=(
  /mnt/models
  --served-model-name {{ shellQuote $.Spec.Model.Name }} publishers/{{ $.Namespace }}/models/{{ shellQuote $.Spec.Model.Name }}
  --port "$port"
{{ if .Parallelism.Expert }}  --enable-expert-parallel
{{ end }}{{ if .Parallelism.Tensor }}  --tensor-parallel-size {{ .Parallelism.Tensor }}
{{ end }}  --data-parallel-size {{ or .Parallelism.Data 1 }}
  --data-parallel-size-local {{ or .Parallelism.DataLocal 1 }}
  --data-parallel-address "$(leader_address)"
  --data-parallel-rpc-port {{ or .Parallelism.DataRPCPort 5555 }}
)
kv_transfer="{{ kvTransferConfig .KVCacheOffloading }}"
