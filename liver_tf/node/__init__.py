"""A DICOM node: series in from an archive, SEG, SR and an overview back.

``service`` is the entry point (``listen``), with the options of ``node_settings``. ``receiver``
accepts associations and stores objects; ``spool`` keeps series and their state as folders;
``delivery`` sends results through ``dicom_peers``, which speaks to other nodes; ``monitor``
answers ``/health`` and ``/metrics``.
"""
