"""The default number of bootstrap resamples and permutations; needs no numpy."""

SAMPLES = 10_000
