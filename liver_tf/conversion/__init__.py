"""From CT files to record sets.

``build_record_set.convert`` is the whole conversion. ``sources.py`` finds the cases of a source (a
new source starts there), ``case_reader.py`` reads them slice by slice, ``convert_cases.py`` writes
shards and the manifest and resumes after an interruption; ``process_engine.py`` or
``beam_engine.py`` spreads the cases. ``roi_sets.py`` cuts regions of interest out of a record set,
``segment_mapping.py`` maps DICOM segments to classes, ``neighbours.py`` finds unlabelled slices
next to annotated ones. Options: ``source_settings.py``,
``roi_set_settings.py``.
"""
