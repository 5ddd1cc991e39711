"""Reports of evaluated runs and of studies, from the results in run folders.

``write_report.py`` writes all files of a report. ``findings.py`` computes the figures,
``summary.py`` and ``sections.py`` describe them, ``figures_csv.py`` and ``figures_json.py``
export them, ``provenance.py`` documents data, weights, versions and arguments. ``page/`` is the
page layer of all HTML and Markdown pages; ``tables/``, ``plots/`` and ``overlays/`` hold tables,
plots, and outlines on CT slices.
"""
