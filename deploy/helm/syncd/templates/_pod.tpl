{{- define "syncd.pod" -}}
metadata:
  labels: {{- include "syncd.labels" . | nindent 4 }}
  {{- if not .Values.podMonitor.enabled }}
  annotations:
    prometheus.io/scrape: "true"
    prometheus.io/port: "9464"
  {{- end }}
spec:
  serviceAccountName: {{ .Release.Name }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- if .Values.fleet.lease }}
  # Two daemons on one machine would be lost together.
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "syncd.selector" . | nindent 10 }}
  {{- end }}
  # More than the drain limit (15 s).
  terminationGracePeriodSeconds: 30
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: syncd
      image: {{ include "syncd.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [run, --config, /etc/syncd/syncd.toml]
      env:
        - name: AWS_SHARED_CREDENTIALS_FILE
          value: /run/credentials/syncd/credentials
        - name: CREDENTIALS_DIRECTORY
          value: /run/credentials/syncd
        {{- with .Values.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - name: http
          containerPort: 9464
      # Alive and ready say nothing of jobs: a first tick of an hour, or a job without permission, fails no rollout.
      startupProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 2
        timeoutSeconds: 5
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 30
        timeoutSeconds: 5
        failureThreshold: 4
      readinessProbe:
        httpGet: {path: /readyz, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
      resources: {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      volumeMounts:
        - {name: config, mountPath: /etc/syncd, readOnly: true}
        - {name: credentials, mountPath: /run/credentials/syncd, readOnly: true}
        - {name: state, mountPath: /var/lib/syncd}
        - {name: tmp, mountPath: /tmp}
  volumes:
    - name: config
      configMap: {name: {{ .Release.Name }}}
    - name: credentials
      secret: {secretName: {{ .Values.credentials.secretName }}, optional: true, defaultMode: 0440}
    {{- if not .Values.fleet.lease }}
    - name: state
      persistentVolumeClaim: {claimName: {{ .Values.persistence.existingClaim | default (printf "%s-state" .Release.Name) }}}
    {{- end }}
    - name: tmp
      emptyDir: {medium: Memory, sizeLimit: 64Mi}
{{- end }}
