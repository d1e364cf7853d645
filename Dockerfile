# syntax=docker/dockerfile:1
# One image for every role: what a container runs is told by its command and its
# environment. Build it from the repository's top:
#   docker build --build-arg HOLDFAST_COMMIT="$(git rev-parse --short HEAD)" --tag holdfast .

FROM rust:1.95.0-slim-bookworm AS build
# aws-lc is C and assembler. Which point release of a compiler Debian has is of no concern here.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential ca-certificates cmake \
    && rm -rf /var/lib/apt/lists/*
# The image's own toolchain, whatever rust-toolchain.toml would fetch.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /source
COPY . .
# What holdfast_build_info says; without it, that it is unknown.
ARG HOLDFAST_COMMIT=""
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --release --locked --package holdfast-node \
    && install -D --mode=755 target/release/holdfast /image/usr/local/bin/holdfast

FROM debian:12.12-slim
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /image/ /
# For a volume, which takes its owner from here: mail, if mail.spool_dir is this.
RUN install -d --owner=10001 --group=10001 --mode=700 /var/spool/holdfast
# A number, so that Kubernetes can see that it is not root. Nothing else in the image is its own.
USER 10001:10001
ENV HOLDFAST_NODE_API=0.0.0.0:8080 \
    HOLDFAST_NODE_OPS=0.0.0.0:9080 \
    HOLDFAST_NODE_LINK=0.0.0.0:10080
EXPOSE 8080 9080 10080
# SIGTERM, which is Docker's default too: requests finish, shards are handed over.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 \
    CMD ["holdfast", "status", "--url", "http://127.0.0.1:9080"]
ENTRYPOINT ["holdfast"]
CMD ["node"]
