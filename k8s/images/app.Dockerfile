# The components as a plain image, for registries that take no OCI artifacts and for compose.yaml:
# docker build -f k8s/images/app.Dockerfile --platform wasi/wasm --provenance=false .
#
# Otherwise `spin registry push` is better: its layers are compiled once per node, these at each
# start of a pod.
FROM --platform=$BUILDPLATFORM docker.io/library/rust:1.95.0-slim AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# This one, without the components for development that rust-toolchain.toml names.
ENV RUSTUP_TOOLCHAIN=1.95.0
RUN rustup target add wasm32-wasip2
WORKDIR /katas
COPY . .
# With the commands that spin.toml has, as `spin build` would. The paths of the files stay those that
# it names.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    sed -n 's/^command = "\(.*\)"$/\1/p' spin.toml | bash -eu \
    && sed -n 's/^source = "\(.*\)"$/\1/p' spin.toml | xargs -I {} install -D -m 0444 {} /image/{} \
    && install -m 0444 spin.toml /image/

# Spin itself, for machines without Kubernetes.
FROM ghcr.io/spinframework/spin:v4.0.2 AS serve
COPY --from=build /image/ /app/
# Where it may write.
ENV HOME=/tmp
USER 65532:65532
ENTRYPOINT ["spin", "up", "--from", "/app/spin.toml", "--state-dir", "/tmp/state", "--listen", "0.0.0.0:3000"]

# What containerd-shim-spin expects: /spin.toml.
FROM scratch
LABEL org.opencontainers.image.title="katas" \
    org.opencontainers.image.description="Small services, each a WebAssembly component, on PostgreSQL" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.source="https://github.com/katas-dev/katas"
COPY --from=build /image/ /
