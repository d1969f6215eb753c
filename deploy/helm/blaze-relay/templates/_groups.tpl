{{/*
The groups, as JSON {"groups": [...]}: each with all of its values, its `group` (what it is called) and its
`name` (what its objects are called). Without `groups` there is one, made of the chart's values alone.
*/}}
{{- define "blaze-relay.groups" -}}
{{- $shared := pick .Values "webhookUrls" "secrets" "settings" "image" "persistence" "resources"
    "statefulSetAnnotations" "podAnnotations" "podLabels" "priorityClassName" "nodeSelector" "tolerations" "affinity"
    "topologySpreadConstraints" "hostAliases" "dnsPolicy" "dnsConfig" "extraEnv" "extraVolumes" "extraVolumeMounts" -}}
{{- $fullname := include "blaze-relay.fullname" . -}}
{{- $groups := list -}}
{{- range $name, $own := .Values.groups -}}
{{- $values := mustMergeOverwrite (deepCopy $shared) (deepCopy (default dict $own)) -}}
{{- $object := include "blaze-relay.short" (printf "%s-%s" $fullname $name) -}}
{{- $groups = append $groups (set (set $values "name" $object) "group" $name) -}}
{{- else -}}
{{- $groups = list (set (set (deepCopy $shared) "name" $fullname) "group" "default") -}}
{{- end -}}
{{ dict "groups" $groups | toJson }}
{{- end -}}

{{- define "blaze-relay.inMemory" -}}
{{- if eq (default "" .settings.journal) "memory:" -}}true{{- end -}}
{{- end -}}

{{/* A group's settings as the relay reads them: what has to fit the pod is written out. */}}
{{- define "blaze-relay.settings" -}}
{{- $fitting := dict "listen" "0.0.0.0:8080" "journal" "sqlite:////var/lib/relay/journal.db" -}}
{{ toYaml (merge (deepCopy .settings) $fitting) }}
{{- end -}}

{{/*
A duration such as 500ms, 25s, 5m, 1h or 1d in whole seconds, and 35 more: the relay's whole stop is bound by
drain_timeout + 25 s, and what is slower than that deserves its SIGKILL.
*/}}
{{- define "blaze-relay.graceSeconds" -}}
{{- $number := regexFind "^[0-9]+" . | int64 -}}
{{- $unit := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 -}}
{{- $milliseconds := mul $number (get $unit (regexFind "[a-z]+$" .)) -}}
{{- add 35 (div (add $milliseconds 999) 1000) -}}
{{- end -}}

{{/* A group's projected secrets: one source for each Secret that is named. */}}
{{- define "blaze-relay.secretSources" -}}
{{- $fixed := dict "keystore" "keystore.json" "webhookSecret" "webhook-secret" "adminToken" "admin-token" "journalKey" "journal-key" -}}
{{- range $what, $path := $fixed }}
{{- with get $.secrets $what }}
{{- if .secretName }}
- secret:
    name: {{ .secretName }}
    items:
      - key: {{ default $path .key }}
        path: {{ $path }}
{{- end }}
{{- end }}
{{- end }}
{{- range .secrets.files }}
- secret:
    name: {{ .secretName }}
    {{- with .items }}
    items:
      {{- toYaml . | nindent 6 }}
    {{- end }}
{{- end }}
{{- end -}}
