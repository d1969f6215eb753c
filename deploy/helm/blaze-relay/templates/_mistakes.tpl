{{/*
What the schema can't see, since it joins several values, or must not say, since it would print a secret: one
line for each mistake, all at once.
*/}}
{{- define "blaze-relay.mistakes" -}}
{{- $groups := (include "blaze-relay.groups" . | fromJson).groups -}}
{{- range $groups }}
{{- $at := ternary "" (printf "groups.%s: " .group) (empty $.Values.groups) -}}
{{- range include "blaze-relay.mistakesOfGroup" . | splitList "\n" | compact }}
{{ $at }}{{ . }}
{{- end }}
{{- if and (hasSuffix "-headless" .group) $.Values.groups }}
{{ $at }}expected a name that doesn't end in -headless, as the Services do
{{- end }}
{{- end }}
{{- if not (regexMatch "^[a-z][-a-z0-9]*$" (include "blaze-relay.fullname" .)) }}
fullnameOverride: expected one, since Services can't be called {{ include "blaze-relay.fullname" . }}: letters a-z, digits and -, a letter first
{{- end }}
{{- $claims := list -}}
{{- range $groups }}
{{- with .persistence.existingClaim }}
{{- if has . $claims }}
persistence.existingClaim: {{ . }} is given to two groups; expected a claim for each, since one relay at a time writes a journal
{{- end }}
{{- $claims = append $claims . -}}
{{- end }}
{{- end }}
{{- if and .Values.externalSecrets.enabled (not .Values.externalSecrets.storeRef.name) }}
externalSecrets.storeRef.name: missing; expected the name of a SecretStore or ClusterSecretStore
{{- end }}
{{- if and .Values.externalSecrets.enabled (not .Values.externalSecrets.secrets) }}
externalSecrets.secrets: missing; expected the Secrets to make, by their names
{{- end }}
{{- range $position, $object := .Values.extraObjects }}
{{- if eq (default "" $object.kind) "Secret" }}
extraObjects[{{ $position }}]: a Secret; expected none among the values, see secrets and externalSecrets
{{- end }}
{{- end }}
{{- end -}}

{{- define "blaze-relay.mistakesOfGroup" -}}
{{- $bots := default list .settings.bots -}}
{{- if and .webhookUrls $bots }}
webhookUrls: expected either these or settings.bots, not both
{{- else if not (or .webhookUrls $bots) }}
webhookUrls: missing; expected where one bot's messages go, or settings.bots
{{- end }}
{{- if and .webhookUrls (not .secrets.keystore.secretName) }}
secrets.keystore.secretName: missing; expected the Secret that holds the keystore, as webhookUrls needs it
{{- end }}
{{- if $bots }}
{{- range list "keystore" "webhookSecret" }}
{{- if (get $.secrets .).secretName }}
secrets.{{ . }}: belongs to webhookUrls; expected an entry of secrets.files, which settings.bots names by its path
{{- end }}
{{- end }}
{{- end }}
{{- include "blaze-relay.mistakesOfTexts" . }}
{{- include "blaze-relay.mistakesOfPaths" . }}
{{- end -}}

{{/* Secrets where text is expected: named, and never repeated. */}}
{{- define "blaze-relay.mistakesOfTexts" -}}
{{- $urls := dict -}}
{{- range $position, $url := .webhookUrls }}
{{- $_ := set $urls (printf "webhookUrls[%d]" $position) $url -}}
{{- end }}
{{- range $b, $bot := .settings.bots }}
{{- range $e, $endpoint := $bot.endpoints }}
{{- $at := printf "settings.bots[%d].endpoints[%d]" $b $e -}}
{{- $_ := set $urls (printf "%s.url" $at) $endpoint.url -}}
{{- range $header, $text := $endpoint.headers }}
{{- if and (regexMatch "(?i)auth|cookie|key|pass|secret|sign|token" $header) (not (regexMatch "^([A-Za-z]+ )?\\$\\{[A-Za-z_][A-Za-z0-9_]*\\}$" $text)) }}
{{ $at }}.headers.{{ $header }}: a secret; expected ${NAME}, and NAME in extraEnv with valueFrom, or bearer_token_file
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- range $at, $url := $urls }}
{{- if regexMatch "://[^/$]*@" $url }}
{{ $at }}: a user or password in it; expected bearer_token_file, or ${NAME} for the whole URL, and NAME in extraEnv with valueFrom
{{- end }}
{{- end }}
{{- $written := "(whsec|whsk|rjk)_[A-Za-z0-9+/]|-----BEGIN|private_key" -}}
{{- if regexMatch $written (toJson .settings) }}
settings: a key or a signing secret is written out; expected a file, by keystore_file or secret_file
{{- end }}
{{- range .extraEnv }}
{{- if regexMatch $written (default "" .value) }}
extraEnv: {{ .name }}: a key or a signing secret is written out; expected valueFrom with a secretKeyRef
{{- end }}
{{- end }}
{{- $ours := list "RELAY_CONFIG" "RELAY_LISTEN" "RELAY_JOURNAL" "RELAY_JOURNAL_KEY" "RELAY_JOURNAL_KEY_FILE" "RELAY_JOURNAL_RECOVERY" "RELAY_KEYSTORE"
    "RELAY_KEYSTORE_FILE" "RELAY_WEBHOOK_URLS" "RELAY_WEBHOOK_SECRET" "RELAY_WEBHOOK_SECRET_FILE" "RELAY_ADMIN_TOKEN"
    "RELAY_ADMIN_TOKEN_FILE" "RELAY_LOG_LEVEL" "RELAY_LOG_FORMAT" -}}
{{- range .extraEnv }}
{{- if has .name $ours }}
extraEnv: {{ .name }} has values of its own: webhookUrls, secrets or settings
{{- else if and .value (regexMatch "(?i)secret|token|passw|credential|api_?key" .name) (not (hasSuffix "_FILE" (upper .name))) }}
extraEnv: {{ .name }}: a secret; expected valueFrom with a secretKeyRef
{{- end }}
{{- end }}
{{- end -}}

{{/* Files below /run/secrets/relay that nothing puts there, or that two Secrets would. */}}
{{- define "blaze-relay.mistakesOfPaths" -}}
{{- $sources := include "blaze-relay.secretSources" . | fromYamlArray -}}
{{- $paths := list -}}
{{- $all := true -}}
{{- range $sources }}
{{- if not .secret.items }}{{ $all = false }}{{ end }}
{{- range .secret.items }}
{{- if has .path $paths }}
secrets: two of them are mounted as {{ .path }}; expected a path for each
{{- end }}
{{- $paths = append $paths .path -}}
{{- end }}
{{- end }}
{{- if $all }}
{{- range regexFindAll "/run/secrets/relay/[^\"]+" (toJson .settings) -1 | uniq }}
{{- if not (has (trimPrefix "/run/secrets/relay/" .) $paths) }}
settings: {{ . }} is named, but no entry of secrets.files has the path {{ trimPrefix "/run/secrets/relay/" . }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
