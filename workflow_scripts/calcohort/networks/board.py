"""TensorBoard's view of a training; needs TensorFlow alone, not TensorBoard."""

from pathlib import Path
from typing import Any

import tensorflow as tf


class Board:
    """Scalars of each epoch in ``{folder}/tensorboard``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "tensorboard"

    def write(self, row: dict[str, Any]) -> None:
        """Add the numbers of a row of the log at its step."""
        plugin = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
        metadata = tf.compat.v1.SummaryMetadata(
            plugin_data=plugin, data_class=tf.compat.v1.summary.DataClass.DATA_CLASS_SCALAR
        )
        writer = tf.summary.create_file_writer(str(self.folder))
        with writer.as_default():
            for name, value in row.items():
                if isinstance(value, float):
                    tf.summary.write(name, tf.constant(value), row["step"], metadata)
        writer.close()
