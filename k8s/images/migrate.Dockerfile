# `migrate` and `smoke`, static, and nothing else: docker build -f k8s/images/migrate.Dockerfile .
#
# For the machine that builds it. The release workflow builds on both architectures, natively, and
# joins the two.
FROM docker.io/library/rust:1.95.0-alpine AS build
# This one, without the components for development that rust-toolchain.toml names.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /katas
RUN --mount=type=bind,target=. \
    --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/target \
    CARGO_TARGET_DIR=/target cargo build --release --locked -p migrate -p smoke \
    && install -D -t /image /target/release/migrate /target/release/smoke

FROM scratch
LABEL org.opencontainers.image.title="katas-migrate" \
    org.opencontainers.image.description="The schema migrations of katas, and its smoke test" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.source="https://github.com/katas-dev/katas"
# A managed PostgreSQL may have a certificate of a public authority, and so has the gateway that the
# smoke test calls. There is nothing else that either needs from an operating system.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /image/ /
# They start without anything beside them; and without a shell, so one after the other.
RUN ["/migrate", "--version"]
# hadolint ignore=DL3059
RUN ["/smoke", "--version"]
# A number, so that Kubernetes can tell that it is not root's.
USER 65532:65532
ENTRYPOINT ["/migrate"]
