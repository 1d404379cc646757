"""The suites of the Stepflow Protocol in its JSON-RPC era: one for each role."""
