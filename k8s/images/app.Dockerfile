# The components as a container image, for compose.yaml and for registries without OCI artifacts:
# docker build -f k8s/images/app.Dockerfile --platform wasi/wasm --provenance=false .
#
# Otherwise prefer `spin registry push`: its layers are compiled once per node, these at every pod
# start.
FROM --platform=$BUILDPLATFORM docker.io/library/rust:1.95.0-slim AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# Overrides rust-toolchain.toml, which adds components for development.
ENV RUSTUP_TOOLCHAIN=1.95.0
RUN rustup target add wasm32-wasip2
WORKDIR /katas
COPY . .
# Runs the build commands of spin.toml, as `spin build` does, and keeps the file paths that it
# names.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    sed -n 's/^command = "\(.*\)"$/\1/p' spin.toml | bash -eu \
    && sed -n 's/^source = "\(.*\)"$/\1/p' spin.toml | xargs -I {} install -D -m 0444 {} /image/{} \
    && install -m 0444 spin.toml /image/

# With Spin, for use without Kubernetes.
FROM ghcr.io/spinframework/spin:v4.0.2 AS serve
COPY --from=build /image/ /app/
# Spin requires a writable home directory.
ENV HOME=/tmp
USER 65532:65532
ENTRYPOINT ["spin", "up", "--from", "/app/spin.toml", "--state-dir", "/tmp/state", "--listen", "0.0.0.0:3000"]

# For containerd-shim-spin, which expects /spin.toml.
FROM scratch
LABEL org.opencontainers.image.title="katas" \
    org.opencontainers.image.description="Small HTTP services as WebAssembly components, with PostgreSQL" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.source="https://github.com/katas-dev/katas"
COPY --from=build /image/ /
