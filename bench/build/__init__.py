"""How long `protogen build` takes, beside the generators that people use otherwise."""
