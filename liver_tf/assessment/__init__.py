"""From trained runs to results: evaluation on test patients, choice of post-processing.

``evaluate.py`` predicts the test slices of runs, stores their results and writes the report;
``evaluate_liver.py`` does the same for liver networks, and ``evaluate_rois.py`` measures lesion
networks on their ROIs, without a liver network. ``choose_postprocessing.py`` chooses
threshold, hole filling and minimum lesion size on validation patients, by the search of
``postprocessing_search.py``. ``split_cases.py`` finds the cases of a run's part,
``slice_predictor.py`` runs the cascade on records, ``label_maps.py`` and ``save_examples.py`` keep
predictions in the run's folder.
"""
