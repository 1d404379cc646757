"""Reports: a finished run for people and for machines, each form in a module of its own. Nothing here judges."""
