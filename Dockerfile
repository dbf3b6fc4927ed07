# The series in a container, for docker run or as the image of a JupyterHub:
#   docker build -t cnn-dreams . && docker run --rm -p 8888:8888 cnn-dreams
FROM python:3.11-slim

RUN useradd --create-home --uid 1000 jovyan
WORKDIR /home/jovyan/cnn-dreams
COPY --chown=jovyan pyproject.toml constraints.txt README.md LICENSE ./
COPY --chown=jovyan helpers helpers
RUN pip install --no-cache-dir --constraint constraints.txt --editable . && chown -R jovyan /home/jovyan
COPY --chown=jovyan data data
COPY --chown=jovyan notebooks notebooks

USER jovyan
EXPOSE 8888
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--no-browser", "--ServerApp.root_dir=/home/jovyan/cnn-dreams", \
     "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb"]
