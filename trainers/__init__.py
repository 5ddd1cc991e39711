"""Commands that train, measure, predict and export."""
