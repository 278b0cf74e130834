"""Keras, imported without what it and TensorFlow also import where it is installed.

Scikit-learn, Matplotlib and JAX serve parts of them that predicting does not use, and take a third
of a worker's start-up. They are hidden during the import, and can be imported afterwards.
"""

import os
import sys

UNUSED = {"sklearn", "matplotlib", "jax"} - {os.environ["KERAS_BACKEND"]}

_hidden = dict.fromkeys(UNUSED - sys.modules.keys())
sys.modules.update(_hidden)
try:
    import keras
finally:
    for _name in _hidden:
        del sys.modules[_name]

__all__ = ["keras"]
