"""From CT files to record sets.

``sources.py`` finds the cases of a data source (a new source starts there), ``case_reader.py``
reads them slice by slice, ``convert_cases.py`` writes shards and the manifest and resumes after an
interruption. Cases are spread by ``process_engine.py`` or ``beam_engine.py``. ``roi_sets.py`` cuts
regions of interest out of a record set; ``segment_mapping.py`` maps DICOM segments to classes.
"""
