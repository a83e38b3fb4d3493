# redkeep in a container: one image for workers, beat and Flower; the drill's image has the servers of its target too.
ARG PYTHON_IMAGE=python:3.13-slim
ARG REDIS_IMAGE=redis:8.2

FROM ${REDIS_IMAGE} AS redis

FROM ${PYTHON_IMAGE} AS redkeep
WORKDIR /opt/redkeep
COPY pyproject.toml constraints.txt README.md LICENSE celeryconfig.py ./
COPY tasks tasks
RUN pip install --no-cache-dir -c constraints.txt . && rm -rf build
# Without a passwd entry for 999 (the uid of redis in its official image) HOME and LOGNAME say who we are.
ENV HOME=/tmp LOGNAME=redkeep PYTHONUNBUFFERED=1 REDKEEP_CONFIG=/etc/redkeep/redkeep.toml
USER 999:999
WORKDIR /tmp
ENTRYPOINT ["redkeep"]

# A drill loads a snapshot into a throwaway server, which must be as new as the server it came from.
FROM redkeep AS drill
COPY --from=redis /usr/local/bin/redis-server /usr/local/bin/redis-check-rdb /usr/local/bin/
