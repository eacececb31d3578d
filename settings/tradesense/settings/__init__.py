"""What is fixed at start: loaded by dynaconf, validated into frozen Structs."""
