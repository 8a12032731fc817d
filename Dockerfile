# xl_jax on a CPU or an NVIDIA GPU; docs/launch.md has the commands.
#
#   docker build -t xl_jax .
#   docker build -t xl_jax:cuda13 --build-arg EXTRA=cuda13 .
FROM python:3.12-slim

# "" = CPU; cuda13 (compute capability 7.5 and driver 580 or newer) or cuda12.
ARG EXTRA=""

RUN pip install --no-cache-dir uv
WORKDIR /xl_jax
COPY requirements.txt pyproject.toml README.md LICENSE ./
COPY xl_jax xl_jax
COPY tools tools
RUN uv pip install --system --no-cache -r requirements.txt \
    ${EXTRA:+"jax[$EXTRA]==$(sed -n 's/^jax==\([^ ]*\).*/\1/p' requirements.txt)"}
COPY . .

ENTRYPOINT ["python"]
CMD ["train.py", "--workdir=/runs/tiny"]
