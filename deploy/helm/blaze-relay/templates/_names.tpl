{{/* A name of at most 52 characters: a StatefulSet's pods carry it in a label, with 11 more. */}}
{{- define "blaze-relay.short" -}}
{{- if gt (len .) 52 -}}
{{ trunc 43 . | trimSuffix "-" }}-{{ sha256sum . | trunc 8 }}
{{- else -}}
{{ . }}
{{- end -}}
{{- end -}}

{{- define "blaze-relay.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "blaze-relay.fullname" -}}
{{- $name := include "blaze-relay.name" . -}}
{{- if .Values.fullnameOverride -}}
{{ include "blaze-relay.short" .Values.fullnameOverride }}
{{- else if contains $name .Release.Name -}}
{{ include "blaze-relay.short" .Release.Name }}
{{- else -}}
{{ include "blaze-relay.short" (printf "%s-%s" .Release.Name $name) }}
{{- end -}}
{{- end -}}

{{/* What never changes: selectors and the claims' labels can't be changed later. */}}
{{- define "blaze-relay.fixedLabels" -}}
app.kubernetes.io/name: {{ include "blaze-relay.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* One group's pods; call with (dict "root" $ "group" $group). */}}
{{- define "blaze-relay.selector" -}}
{{ include "blaze-relay.fixedLabels" .root }}
app.kubernetes.io/component: relay
blaze-relay/group: {{ .group.group }}
{{- end -}}

{{/* An object's labels; call with (dict "root" $ "more" (dict …)): what the chart sets wins over commonLabels. */}}
{{- define "blaze-relay.labels" -}}
{{- with .root -}}
{{- $labels := include "blaze-relay.fixedLabels" . | fromYaml -}}
{{- $_ := set $labels "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63) -}}
{{ toYaml (merge $labels (default dict $.more) .Values.commonLabels) }}
{{- end -}}
{{- end -}}

{{- define "blaze-relay.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "blaze-relay.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{/* A group's image; call with (dict "root" $ "group" $group). */}}
{{- define "blaze-relay.image" -}}
{{- with .group.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.root.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}
