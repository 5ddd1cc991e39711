"""Record sets on disk, and which of their cases may be used together.

Fields of a record: ``record_schema``. Files: ``shard_writer``, ``shard_reader``, ``manifest``; in a
TensorFlow graph ``graph_decoder``. Training, validation and test cases: ``folds``. The leakage
rule: ``leakage``, with ``slice_hash`` and ``near_duplicates``; the training data of a network:
``training_data_file``.
"""
