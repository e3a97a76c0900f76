"""What PyTake costs, as ratios to a floor that is measured in the same run (`python -m benchmarks --help`).

Numbers per second depend on the machine and on what else it does; ratios and CPU per request do not, or less.
Nothing here passes or fails by time.
"""
