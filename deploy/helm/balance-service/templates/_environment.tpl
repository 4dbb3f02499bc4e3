{{- define "balance.environment" -}}
- name: BALANCE_DATABASE_URL_FILE
  value: /run/balance/database-url
- name: BALANCE_SECRET_FILE
  value: /run/balance/secret
{{- if .Values.secrets.previous }}
- name: BALANCE_PREVIOUS_SECRET_FILE
  value: /run/balance/previous-secret
{{- end }}
- name: BALANCE_SMTP_URL_FILE
  value: /run/balance/smtp-url
- name: BALANCE_HOST
  value: 0.0.0.0
- name: BALANCE_GRPC_PORT
  value: {{ .Values.service.grpcPort | quote }}
- name: BALANCE_HTTP_PORT
  value: {{ .Values.service.httpPort | quote }}
- name: BALANCE_OPERATORS_HOST
  value: 0.0.0.0
- name: BALANCE_OPERATORS_PORT
  value: {{ .Values.operators.port | quote }}
- name: BALANCE_WORKERS
  value: {{ .Values.workers | quote }}
- name: BALANCE_DRAIN_SECONDS
  value: {{ .Values.drain.seconds | quote }}
- name: BALANCE_ALLOW_PLAIN_TEXT
  value: {{ empty .Values.tls.secret | quote }}
{{- if .Values.tls.secret }}
- name: BALANCE_TLS_CERTIFICATE
  value: /run/balance-tls/tls.crt
- name: BALANCE_TLS_KEY
  value: /run/balance-tls/tls.key
{{- end }}
{{- range $name, $text := .Values.settings }}
- name: {{ $name }}
  value: {{ $text | quote }}
{{- end }}
{{- end -}}
