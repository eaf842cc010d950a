engine=(
  /mnt/models
  --served-model-name {{ shellQuote $.Spec.Model.Name }} publishers/{{ $.Namespace }}/models/{{ shellQuote $.Spec.Model.Name }}
  --port "$port"
{{ if .Parallelism.Expert }}  --enable-expert-parallel
{{ end }}{{ if .Parallelism.Tensor }}  --tensor-parallel-size {{ .Parallelism.Tensor }}
{{ end }}  --pipeline-parallel-size {{ .Parallelism.Pipeline }}
  --nnodes "${LWS_GROUP_SIZE:-{{ .Parallelism.Pipeline }}}"
  --node-rank "${LWS_WORKER_INDEX:-0}"
  --master-addr "$(leader_address)"
)
kv_transfer="{{ kvTransferConfig .KVCacheOffloading }}"
