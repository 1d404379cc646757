"""What a protocol can be built into: one package a target, none of which knows another."""
