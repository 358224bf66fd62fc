"""What the benchmarks share: servers, load generators, and the table at the end."""
