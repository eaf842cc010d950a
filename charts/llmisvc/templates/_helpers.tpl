{{/* Labels that the operator's pods are selected by; they never change. */}}
{{- define "llmisvc.selector" -}}
app.kubernetes.io/name: llmisvc
control-plane: llmisvc-controller-manager
{{- end }}

{{/* Labels of every object. */}}
{{- define "llmisvc.labels" -}}
{{ include "llmisvc.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/instance: {{ .Release.Name }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Metadata of an object of the release's namespace: (list context name). */}}
{{- define "llmisvc.metadata" -}}
{{- $context := index . 0 -}}
name: {{ index . 1 }}
namespace: {{ $context.Release.Namespace }}
labels:
  {{- include "llmisvc.labels" $context | nindent 2 }}
{{- with $context.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "llmisvc.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "llmisvc.schedulerImage" -}}
{{ .Values.schedulerImage.repository }}:{{ .Values.schedulerImage.tag | default .Chart.AppVersion }}
{{- end }}
