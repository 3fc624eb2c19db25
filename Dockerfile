# A line of deployed recipes: the runtime and the server, without torch. docs/container.md says how it is run.
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml README.md CHANGELOG.md LICENSE constraints.txt ./
COPY src src
RUN python -m venv /opt/blemish
RUN /opt/blemish/bin/pip install --no-cache-dir --constraint constraints.txt ".[runtime,serve]"

FROM python:3.12-slim
COPY --from=build /opt/blemish /opt/blemish
RUN useradd --system --uid 10001 --home-dir /line --shell /usr/sbin/nologin blemish
RUN install --directory --owner 10001 --group 10001 /line
ENV PATH=/opt/blemish/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
ENV BLEMISH_READY=http://127.0.0.1:8420/api/v1/ready
USER 10001
WORKDIR /line
VOLUME /line
EXPOSE 8420
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD python -c "import os, urllib.request; urllib.request.urlopen(os.environ['BLEMISH_READY'], timeout=4)"
STOPSIGNAL SIGTERM
ENTRYPOINT ["blemish"]
CMD ["serve", "line.toml"]
