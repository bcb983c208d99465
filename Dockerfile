# Two stages from one pinned base. The first installs the locked packages and the program into a virtual environment; the second
# copies only that directory, without pip's cache, the build backend and the sources, and does not run as root. To pin the content
# of the base too, add its digest (`docker buildx imagetools inspect IMAGE`).

FROM python:3.12.12-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python -m venv --without-pip /opt/segment-personas

COPY requirements.lock ./
RUN pip --python /opt/segment-personas/bin/python install --only-binary :all: --no-deps --require-hashes --requirement requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY worker worker
COPY producer producer
RUN pip --python /opt/segment-personas/bin/python install --no-deps --no-build-isolation . \
 && pip --python /opt/segment-personas/bin/python uninstall --yes hatchling packaging pathspec pluggy tomlkit trove-classifiers

# `--build-arg EXTRAS=postgres,otel` adds the packages of these extras, `EXTRAS=all` those of all.
# `check` fails the build if something still needs a package of the build backend.
ARG EXTRAS=
COPY deploy/locks locks
RUN for extra in $(echo "$EXTRAS" | tr , ' '); do \
      pip --python /opt/segment-personas/bin/python install --only-binary :all: --no-deps --require-hashes --requirement "locks/$extra.lock" || exit 1; \
    done \
 && pip --python /opt/segment-personas/bin/python check

FROM python:3.12.12-slim-bookworm
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin personas
COPY --from=build /opt/segment-personas /opt/segment-personas
ENV PATH=/opt/segment-personas/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    SEGMENT_PERSONAS_ENV_FILE=
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="segment-personas" \
      org.opencontainers.image.description="Turns a Segment space into Mavera personas" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
USER 10001:10001
WORKDIR /tmp
STOPSIGNAL SIGTERM
# The program handles SIGTERM itself from its first moment and starts no other processes, so it can be the first process of
# the container. Compose adds an init (`init: true`); `docker run --init` does the same.
# The HTTP API (`serve --host 0.0.0.0`), and the metrics of a worker (METRICS_PORT=9464).
EXPOSE 8000 9464
ENTRYPOINT ["segment-personas"]
CMD ["worker"]
