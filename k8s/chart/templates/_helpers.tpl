{{/* The release's labels, and the chart's own. */}}
{{- define "katas.labels" -}}
{{ include "katas.podLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Those of pods that are replaced with each release. */}}
{{- define "katas.podLabels" -}}
app.kubernetes.io/part-of: katas
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{/* An image: (list root "app"). */}}
{{- define "katas.image" -}}
{{- $root := index . 0 -}}
{{- $image := index $root.Values.images (index . 1) -}}
{{- $image.repository }}:{{ $image.tag | default $root.Chart.AppVersion }}
{{- with $image.digest }}@{{ . }}{{ end }}
{{- end }}

{{/* The most pods that an app can have: (list root app). */}}
{{- define "katas.maxReplicas" -}}
{{- $root := index . 0 -}}
{{- $app := index . 1 -}}
{{- eq $root.Values.autoscaling.kind "none" | ternary $app.replicas $app.maxReplicas -}}
{{- end }}

{{/* The connections that Spin can open, of all apps together. */}}
{{- define "katas.connections" -}}
{{- $all := 0 -}}
{{- range .Values.apps -}}
{{- if .enabled -}}
{{- $all = add $all (mul 64 .databaseComponents (include "katas.maxReplicas" (list $ .) | int)) -}}
{{- end -}}
{{- end -}}
{{- $all -}}
{{- end }}

{{/* Labels of the pods of the database, or of its pooler: "database" or "pooler". */}}
{{- define "katas.databaseLabels" -}}
app.kubernetes.io/name: postgresql
app.kubernetes.io/component: {{ . }}
{{- end }}

{{/* What a pod with the image of `migrate` is like. */}}
{{- define "katas.migratePod" -}}
restartPolicy: Never
serviceAccountName: katas-migrate
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* One of its containers: (dict "root" . "secret" "migrate" "env" (list "NAME=value") …). */}}
{{- define "katas.migrateContainer" -}}
image: {{ include "katas.image" (list .root "migrate") }}
env:
  - {name: DATABASE_URL_FILE, value: /run/secrets/{{ .secret }}/url}
  {{- range .env }}
  - {name: {{ splitList "=" . | first }}, value: {{ splitList "=" . | last | quote }}}
  {{- end }}
  - {name: MIGRATE_LOG, value: json}
{{ include "katas.confined" . }}
volumeMounts:
  - {name: {{ .secret }}, mountPath: /run/secrets/{{ .secret }}, readOnly: true}
{{- end }}

{{/* And its rights and resources; "cpu" and "memory" where it needs more than others. */}}
{{- define "katas.confined" -}}
resources:
  requests: {cpu: {{ .cpu | default "50m" }}, memory: {{ .memory | default "32Mi" }}, ephemeral-storage: 16Mi}
  limits: {cpu: "1", memory: {{ .memoryLimit | default "128Mi" }}, ephemeral-storage: 64Mi}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
terminationMessagePolicy: FallbackToLogsOnError
{{- end }}

{{/* When a Job of `migrate` gives up: these exit codes, which trying again does not help. */}}
{{- define "katas.podFailurePolicy" -}}
podReplacementPolicy: Failed
podFailurePolicy:
  rules:
    - action: FailJob
      onExitCodes: {operator: In, values: {{ toJson . }}}
    - action: Ignore
      onPodConditions:
        - {type: DisruptionTarget, status: "True"}
{{- end }}
