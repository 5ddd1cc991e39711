"""Clients of an exported model: the library behind ``trainers.ask``.

``served_answer`` queries with a DICOM slice and prints the answer (options: ``ask_settings``).
``model_clients`` checks a request and sends it: loaded model, OpenVINO, REST, gRPC.
"""
