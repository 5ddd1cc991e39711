"""Joint liver lesion segmentation and classification in CT by hierarchical fine-tuning."""

__version__ = "0.1.0"
