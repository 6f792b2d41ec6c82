"""Names of clusters: from the evidence of keyphrases and exemplars, with or without a language model."""
