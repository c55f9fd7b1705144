# etcd as Debian ships it: the version that the tests run against.
FROM debian:bookworm-slim
RUN apt-get update && apt-get install --yes --no-install-recommends etcd-server \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10002 --home-dir /data --create-home --shell /usr/sbin/nologin etcd-data \
    && chmod 0700 /data
USER etcd-data
VOLUME /data
EXPOSE 2379
CMD ["etcd", "--data-dir=/data"]
