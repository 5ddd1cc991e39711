"""Clients of an exported model: the library behind ``trainers.ask``.

``served_answer`` asks about a DICOM slice and words the answer (options: ``ask_settings``).
``model_clients`` holds the ways to reach a model: loaded, OpenVINO, REST, gRPC. ``client_checks``
checks a request before it is sent.
"""
