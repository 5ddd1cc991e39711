"""Tables of a report: the paper's table, and one row per protocol, cycle or run."""
