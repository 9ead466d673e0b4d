# The event hub of agents/ as an image: `faust -A agents worker` on a Kafka and a MongoDB that are there already.
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY prom_faust ./prom_faust
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir ".[agents]"

FROM python:3.12-slim
# Faust keeps a folder of data in the directory that it starts in.
RUN useradd --system --uid 10001 --create-home hub
WORKDIR /home/hub
COPY --from=build /venv /venv
COPY agents ./agents
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER hub
EXPOSE 6066
CMD ["faust", "-A", "agents", "worker", "-l", "info"]
