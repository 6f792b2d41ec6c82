"""The mathematics of a map: layout, clusters, keyphrases. numpy in, numpy out; no I/O."""
