{{/* Labels of every object. Without a version, so that a release leaves most objects unchanged. */}}
{{- define "katas.labels" -}}
app.kubernetes.io/part-of: katas
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* Labels of objects that each release changes. */}}
{{- define "katas.releaseLabels" -}}
{{ include "katas.podLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Labels of their pods. */}}
{{- define "katas.podLabels" -}}
app.kubernetes.io/part-of: katas
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{/* An image reference. Arguments: (list root "app"). */}}
{{- define "katas.image" -}}
{{- $root := index . 0 -}}
{{- $image := index $root.Values.images (index . 1) -}}
{{- $image.repository }}:{{ $image.tag | default $root.Chart.AppVersion }}
{{- with $image.digest }}@{{ . }}{{ end }}
{{- end }}

{{/* Name of the SpinAppExecutor. */}}
{{- define "katas.executor" -}}
{{ .Values.executor.name | default .Release.Namespace }}
{{- end }}

{{/* Name of the migrate Job, which is unique for each revision. */}}
{{- define "katas.migrateJob" -}}
katas-migrate-{{ .Chart.AppVersion | replace "." "-" }}-r{{ .Release.Revision }}
{{- end }}

{{/* Kind of autoscaling of an app. Arguments: (list root app). */}}
{{- define "katas.autoscaling" -}}
{{- (index . 1).autoscaling | default (index . 0).Values.autoscaling.kind -}}
{{- end }}

{{/* Maximum number of pods of an app. Arguments: (list root app). */}}
{{- define "katas.maxReplicas" -}}
{{- $app := index . 1 -}}
{{- eq (include "katas.autoscaling" .) "none" | ternary $app.replicas $app.maxReplicas -}}
{{- end }}

{{/* Maximum number of connections that Spin can open, over all apps. */}}
{{- define "katas.connections" -}}
{{- $total := 0 -}}
{{- range .Values.apps -}}
{{- if .enabled -}}
{{- $total = add $total (mul 64 .databaseComponents (include "katas.maxReplicas" (list $ .) | int)) -}}
{{- end -}}
{{- end -}}
{{- $total -}}
{{- end }}

{{/* Labels of the database pods or the pooler pods. Argument: "database" or "pooler". */}}
{{- define "katas.databaseLabels" -}}
app.kubernetes.io/name: postgresql
app.kubernetes.io/component: {{ . }}
{{- end }}

{{/* Common fields of pods with the `migrate` image. */}}
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

{{/* Common fields of their containers. Arguments: (dict "root" . "secret" "migrate" "env" (list "NAME=value") …). */}}
{{- define "katas.migrateContainer" -}}
image: {{ include "katas.image" (list .root "migrate") }}
env:
  - {name: DATABASE_URL_FILE, value: /run/secrets/{{ .secret }}/url}
  {{- range .env }}
  - {name: {{ splitList "=" . | first }}, value: {{ splitList "=" . | last | quote }}}
  {{- end }}
  - {name: MIGRATE_LOG, value: json}
{{ include "katas.restrictedContainer" . }}
volumeMounts:
  - {name: {{ .secret }}, mountPath: /run/secrets/{{ .secret }}, readOnly: true}
{{- end }}

{{/* Resources and security context; "cpu", "memory" and "memoryLimit" override the defaults. */}}
{{- define "katas.restrictedContainer" -}}
resources:
  requests: {cpu: {{ .cpu | default "50m" }}, memory: {{ .memory | default "32Mi" }}, ephemeral-storage: 16Mi}
  limits: {cpu: "1", memory: {{ .memoryLimit | default "128Mi" }}, ephemeral-storage: 64Mi}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
terminationMessagePolicy: FallbackToLogsOnError
{{- end }}

{{/* Retry policy of a `migrate` Job. Argument: the exit codes that are not retried. */}}
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
