"""The asset graph, one file per stage, in the order data flows.

visualization_job -> vectors -> embedding_2d -> cluster_labels -> cluster_names -> html_map
"""
