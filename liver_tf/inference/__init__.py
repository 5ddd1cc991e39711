"""From HU to lesions with finished runs, without training code.

``cascade`` is the main path: ``liver_finder``, then ``roi_box`` (``roi_rule``), then the lesion
networks (``trained_network``, ``flips``), ``decision_threshold`` and ``small_lesions`` with the
settings of ``postprocessing``. ``scan_graph`` is the same for a scan as one graph, for export.
``lesion_properties`` lists the lesions of a label map. Components: ``pixel_runs`` and
``largest_component_3d`` (NumPy), ``graph_components_2d`` and ``graph_components_3d`` (graphs).
"""
