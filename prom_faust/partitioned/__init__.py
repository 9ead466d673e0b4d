"""Partitioned consumers: one record at a time, in order within a logical partition, which has one owner."""
