"""The U-Net by block: structure, loss, freezing, transfer, weights on disk.

Block names and batch-normalisation policies: ``blocks.py``. Sizes: ``architecture.py``. Layers:
``unet.py``, ``batch_norm.py``, ``skip_convolution.py``. Loss and class weights: ``loss.py``.
Freezing: ``freezing.py``. Pre-trained weights and new heads: ``transfer.py``. Hashes and copies of
weights: ``block_weights.py``. Files: ``weights_file.py``, ``description.py`` (loads a run).
"""
