"""prom_faust makes a Faust app safe to run in production."""
