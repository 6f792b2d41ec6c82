"""How jobs come in and results go out: one part talks to JetStream, the rest decides. Knows nothing of Dagster."""
