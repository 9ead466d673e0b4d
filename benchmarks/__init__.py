"""The sink beside its ceiling and beside what people write with Faust alone, on real servers of this machine.

``python -m benchmarks`` prints medians and spreads; nothing here asserts a speed.
"""
