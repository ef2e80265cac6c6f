# Static `migrate`, `courier` and `smoke`: docker build -f k8s/images/migrate.Dockerfile .
#
# Builds for the native architecture. The release workflow builds both architectures natively and
# merges them into a multi-platform image.
FROM docker.io/library/rust:1.95.0-alpine AS build
# Overrides rust-toolchain.toml, which adds components for development.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /katas
RUN --mount=type=bind,target=/katas \
    --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/target \
    CARGO_TARGET_DIR=/target cargo build --release --locked -p migrate -p courier -p smoke \
    && install -D -t /image /target/release/migrate /target/release/courier /target/release/smoke

FROM scratch
LABEL org.opencontainers.image.title="katas-migrate" \
    org.opencontainers.image.description="The schema migrations, the courier and the smoke test of katas" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.source="https://github.com/katas-dev/katas"
# For a managed PostgreSQL with a certificate from a public CA, and for the gateway that the smoke
# test calls. The binaries need nothing else from the operating system.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /image/ /
# Checks that all binaries start in an empty image. Without a shell, each needs its own RUN.
RUN ["/migrate", "--version"]
# hadolint ignore=DL3059
RUN ["/courier", "--version"]
# hadolint ignore=DL3059
RUN ["/smoke", "--version"]
# Numeric, so that Kubernetes can verify runAsNonRoot.
USER 65532:65532
ENTRYPOINT ["/migrate"]
