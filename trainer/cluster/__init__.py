"""Other machines that read exports too, through Dask; `choice.py` says whether."""
