"""Commands that train, measure, predict and export."""

import os

# TensorFlow's notes on its own build are nothing to the user of a command; its errors still show.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
