"""The 3D U-Nets: the only part of the library that imports TensorFlow (through Keras 3).

oneDNN must be on before TensorFlow is imported: on some CPUs it is off by default, and then
inference is 3 times and training 6 times slower. `KERAS_BACKEND=jax` is respected.
"""

import os

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
