{{/* Of every container that the chart makes; there is no value to loosen it. */}}
{{- define "blaze-relay.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}
