"""Films, fitted frame by frame: `fit`; `motion`, by `search` in `displaced` references at the prices of `merges`; `control`."""
