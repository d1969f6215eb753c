# The relay in a container: `docker build -t blaze-relay .`
#
# It runs as uid 10001, keeps its journal in /var/lib/relay, and writes nowhere else: give it a volume
# there, and the rest may be read-only.

ARG PYTHON_IMAGE=python:3.13-slim

# --- The dependencies: a layer of their own, the same from release to release

FROM ${PYTHON_IMAGE} AS dependencies
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY requirements.lock ./
# Bytecode that is never checked against its source: the files don't change, and start-up is quicker.
RUN python -m venv --without-pip /opt/relay \
 && python -m pip --python /opt/relay/bin/python install --no-compile --require-hashes -r requirements.lock \
 && python -m compileall -q --invalidation-mode unchecked-hash /opt/relay/lib

# --- The relay: a wheel, built and installed with tools that stay behind, and the list of what is inside

FROM dependencies AS application
COPY deploy/container/build.lock ./
RUN python -m venv /opt/tools \
 && /opt/tools/bin/python -m pip install --require-hashes -r build.lock
COPY pyproject.toml README.md LICENSE ./
COPY relay ./relay
RUN /opt/tools/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && python -m pip --python /opt/relay/bin/python install --no-deps --no-compile --prefix /opt/application dist/*.whl \
 && python -m compileall -q --invalidation-mode unchecked-hash /opt/application/lib \
 && cp -a /opt/application/. /opt/relay/ \
 && /opt/tools/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application \
      --output-reproducible --output-file sbom.cdx.json /opt/relay/bin/python

# --- What is shipped

FROM ${PYTHON_IMAGE}
RUN groupadd --system --gid 10001 relay \
 && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/relay --no-create-home --shell /usr/sbin/nologin relay \
 && install --directory --owner relay --group relay --mode 0700 /var/lib/relay
COPY --from=dependencies /opt/relay /opt/relay
COPY --from=application /opt/application /opt/relay
COPY --from=application /build/sbom.cdx.json /build/LICENSE /usr/share/doc/blaze-relay/

# SQLite's temporary files can be as large as the journal.
ENV PATH=/opt/relay/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SQLITE_TMPDIR=/var/lib/relay

ARG VERSION=0.2.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Blaze Relay" \
      org.opencontainers.image.description="Relays Mixin Messenger's Blaze messages to webhooks, and marks them READ only after the webhooks took them" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

USER 10001:10001
WORKDIR /var/lib/relay
VOLUME /var/lib/relay
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s --retries=3 CMD ["relay", "healthcheck"]
ENTRYPOINT ["relay"]
CMD ["run"]
