# syntax=docker/dockerfile:1

ARG PYTHON_IMAGE=python:3.11-slim

FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ONLY_BINARY=:all:
# The service's environment has no pip: the build's installs into it.
RUN python -m venv /opt/build && python -m venv --without-pip /opt/balance
COPY requirements-build.lock requirements-image.lock ./
RUN /opt/build/bin/pip install --require-hashes --requirement requirements-build.lock && \
    /opt/build/bin/pip --python /opt/balance/bin/python install --require-hashes \
    --requirement requirements-image.lock
COPY pyproject.toml README.md LICENSE ./
COPY balance_service balance_service
COPY migrations migrations
RUN /opt/build/bin/pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /wheels . && \
    /opt/build/bin/pip --python /opt/balance/bin/python install --no-index --no-deps /wheels/*.whl

FROM ${PYTHON_IMAGE}
# /var/lib/balance is where docker-compose.yml keeps secrets; the service itself writes nothing there.
RUN groupadd --system --gid 10001 balance && \
    useradd --system --uid 10001 --gid 10001 --no-create-home balance && \
    install --directory --owner 10001 --group 10001 --mode 0755 /var/lib/balance
COPY --from=build /opt/balance /opt/balance
ENV PATH=/opt/balance/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    BALANCE_HOST=0.0.0.0 \
    BALANCE_ALLOW_PLAIN_TEXT=true \
    BALANCE_GRPC_PORT=50051 \
    BALANCE_HTTP_PORT=8080
USER 10001:10001
# /tmp has to be writable, for Envoy's configuration and socket; nothing else is written.
EXPOSE 50051 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-ISc", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 9464, timeout=2); c.request('GET', '/readyz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["balance-service"]
CMD ["serve"]
