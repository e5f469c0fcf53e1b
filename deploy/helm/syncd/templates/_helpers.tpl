{{- define "syncd.selector" -}}
app.kubernetes.io/name: syncd
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "syncd.labels" -}}
{{ include "syncd.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "syncd.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "syncd.volume" -}}
accessModes: [ReadWriteOnce]
{{- with .Values.persistence.storageClassName }}
storageClassName: {{ . }}
{{- end }}
resources:
  requests:
    storage: {{ .Values.persistence.size }}
{{- end }}

{{- define "syncd.daemon" -}}
{{ if .Values.fleet.lease }}statefulset{{ else }}deployment{{ end }}/{{ .Release.Name }}
{{- end }}

{{- define "syncd.config" -}}
state_dir = "/var/lib/syncd"
# Beside this file, because a ConfigMap has no folders.
jobs = ["job-*.toml"]

[log]
format = "json"

[http]
listen = "0.0.0.0:9464"
allow_remote = true
{{- if .Values.service.enabled }}
hosts = ["{{ .Release.Name }}", "{{ .Release.Name }}.{{ .Release.Namespace }}", "{{ .Release.Name }}.{{ .Release.Namespace }}.svc"]
{{- end }}
{{ end }}

{{- define "syncd.fleet" -}}
{{- with .Values.fleet }}
{{- if regexMatch "(?m)^[ \\t]*\\[[ \\t]*fleet[ \\t]*\\]" $.Values.config }}
{{- fail "config has [fleet], which the chart writes: leave it out there, and set fleet.lease, fleet.members and fleet.ttl" }}
{{- end }}
{{- if .lease }}
[fleet]
lease = {{ .lease | quote }}
members = {{ .members }}
ttl = {{ .ttl | quote }}
{{- end }}
{{- end }}
{{- end }}
