"""Where heavy work runs: in the process of the run, or on a warm Dask worker.

Assets hand functions of `mapping` and `page` to a `Compute`; which one there is, a setting says. In a run with Dask

    contract.py     what assets see: `Compute`; and the implementation in process
    dask_compute.py the run's side: a client of the cluster, progress, errors, the way back into the process
    filing.py       arrays, tables and texts of a call become references to files; the worker maps them
    shelves.py      where those files lie: the run's folder, or the object store
    task.py         the worker's side: performs one call
    abandonment.py  the scheduler's side: whose work nobody wants any more, is killed
    preload.py      what a worker does before its first task: it gets warm
"""
