"""TensorBoard's view of a training; needs TensorFlow alone, not TensorBoard."""

from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.framework.summary_pb2 import DATA_CLASS_SCALAR, SummaryMetadata

SCALAR = SummaryMetadata(
    plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"), data_class=DATA_CLASS_SCALAR
)


def write_scalars(folder: Path, row: dict[str, Any]) -> None:
    """Add the numbers of a row of the log at its step to TensorBoard's files in `folder`."""
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default():
        for name, value in row.items():
            if isinstance(value, float):
                tf.summary.write(name, tf.constant(value), row["step"], SCALAR)
    writer.close()
